#!/bin/sh
# Records what BuildKit builds of testdata/builds.txtar. Run it as root in a stage's directory.
set -eu
dir=$(mktemp -d)
mkdir "$dir/src"
(cd "$dir/src" && go mod init recorder && go get -tool github.com/moby/buildkit/cmd/buildkitd@v0.34.2 github.com/moby/buildkit/cmd/buildctl@v0.34.2
	CGO_ENABLED=0 go build -o "$dir" github.com/moby/buildkit/cmd/buildkitd github.com/moby/buildkit/cmd/buildctl)
"$dir/buildkitd" --root "$dir/root" --addr "unix://$dir/socket" --oci-worker-net host >"$dir/log" 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon; rm -rf "$dir"' EXIT
until [ -S "$dir/socket" ]; do sleep 0.1; done
PATH=$dir:$PATH go test -count=1 -run TestBuildsAreAsBuildKits . -record "unix://$dir/socket"
