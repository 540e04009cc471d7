#!/bin/sh
# crane v0.22.1 (github.com/google/go-containerregistry, pkg/v1/remote): of an index that lists an
# artifact before an image, it takes the artifact for the image of linux/amd64. `crane index append`
# makes such an index of what `oras push` has pushed.
#
# The OCI image specification (image-index.md, "manifests") makes an entry's "platform" optional:
# it SHOULD be present if the entry is for one platform. An artifact need not be, and what oras
# pushes names none. To crane an entry without a platform is for linux/amd64, which is also what it
# looks for without --platform, and it takes the first that fits.
#
# Seen: for linux/amd64, crane gives the artifact, and `crane export` without --platform fails. oras
# v1.3.6 and regctl v0.11.7 (regclient) give the image. With the image first, crane does too.
#
# Exits with 0 while that is so. Needs Go and a module proxy. The registry is crane's own; it
# listens on localhost and keeps images in memory.
set -eu
dir=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill $registry; rm -rf "$dir"' EXIT
cd "$dir"
export GOBIN="$dir/bin" CGO_ENABLED=0 PATH="$dir/bin:$PATH"
{
	go install github.com/google/go-containerregistry/cmd/crane@v0.22.1
	go install oras.land/oras/cmd/oras@v1.3.6
	go install github.com/regclient/regclient/cmd/regctl@v0.11.7
} >log 2>&1 || { cat log; exit 2; }
crane registry serve --address 127.0.0.1:0 >served 2>&1 &
registry=$!
until port=$(grep -o '[0-9]*$' served); do
	kill -0 $registry
	sleep 0.1
done
at=localhost:$port/app

{
	echo hello >hello
	tar -cf layer.tar hello
	crane append --oci-empty-base -f layer.tar -t $at:unnamed
	crane mutate $at:unnamed --set-platform linux/amd64 -t $at:image
	oras push --plain-http $at:artifact --artifact-type application/vnd.example hello
	crane index append -m $at:artifact -m $at:image -t $at:artifact-first
	crane index append -m $at:image -m $at:artifact -t $at:image-first
} >log 2>&1 || { cat log; exit 2; }

# which names what has the digest that a command prints.
which() {
	case $("$@") in
	$(crane digest $at:image)) echo image ;;
	$(crane digest $at:artifact)) echo artifact ;;
	esac
}
for index in artifact-first image-first; do
	echo "$index:"
	echo "  crane: $(which crane digest --platform linux/amd64 $at:$index)"
	echo "  oras: $(which oras resolve --plain-http --platform linux/amd64 $at:$index)"
	echo "  regctl: $(which regctl image digest --host reg=localhost:$port,tls=disabled \
		--platform linux/amd64 $at:$index)"
	echo "  crane export: $(crane export $at:$index - 2>/dev/null | tar -xO hello 2>/dev/null || echo nothing)"
done >seen
cat seen
cat >expected <<'TEXT'
artifact-first:
  crane: artifact
  oras: image
  regctl: image
  crane export: nothing
image-first:
  crane: image
  oras: image
  regctl: image
  crane export: hello
TEXT
diff expected seen
