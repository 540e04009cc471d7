#!/bin/sh
# crane v0.22.1 (github.com/google/go-containerregistry) and oras v1.3.6: of an index with images for
# several variants of a CPU, they take another one for --platform than containerd, or none.
#
# The OCI image specification (image-index.md, "platform") makes "variant" optional, and has a table of
# values: v8 for arm64, v6 to v8 for arm, v1 to v4 for amd64. Which one is meant where none is given, it does
# not say; BuildKit writes none for arm64. To containerd (github.com/containerd/platforms v1.0.0-rc.5:
# Normalize, OnlyStrict), whose package Docker and BuildKit use, it is v8 for arm64, v7 for arm and v1 for
# amd64.
#
# Seen, as the variant of the image that is taken:
#   for linux/amd64, of v3 and none        containerd and regctl none; crane and oras v3, which is first
#   for linux/arm, of v6 and v7            containerd and regctl v7; crane and oras v6, which is first
#   for linux/arm64/v8, of none            containerd and regctl find it; crane and oras do not
#   for linux/arm64, of v8                 all find it
# So a program for newer CPUs may be had for linux/amd64, without a word.
#
# Exits with 0 while that is so. Needs Go and a module proxy. The registry is crane's own; it
# listens on localhost and keeps images in memory.
set -eu
dir=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill $registry; rm -rf "$dir"' EXIT
cd "$dir"
export GOBIN="$dir/bin" CGO_ENABLED=0 PATH="$dir/bin:$PATH"
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/containerd/platforms"
)

// It prints the best of some platforms, the second argument and those after it, for the first.
func main() {
	want := platforms.MustParse(os.Args[1])
	matcher, best := platforms.OnlyStrict(want), "-"
	for _, text := range os.Args[2:] {
		p := platforms.MustParse(text)
		if matcher.Match(p) && (best == "-" || matcher.Less(p, platforms.MustParse(best))) {
			best = text
		}
	}
	fmt.Println(best)
}
GO
{
	go mod init finding
	go get github.com/containerd/platforms@v1.0.0-rc.5
	go mod tidy
	go build -o bin/containerd .
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

# taken WANTED PLATFORM...: which of the images, each for one platform, is taken from an index of all.
taken() {
	wanted=$1
	shift
	echo "$wanted of $*"
	echo "  containerd: $(containerd "$wanted" "$@")"
	arguments=
	for platform; do
		echo "$platform" >file
		tar -cf layer.tar file
		name=$at:$(echo "$platform" | tr / -)
		crane append --oci-empty-base -f layer.tar -t "$name"
		crane mutate "$name" --set-platform "$platform" -t "$name"
		arguments="$arguments -m $name"
	done >log 2>&1
	crane index append $arguments -t $at:index >log 2>&1
	for tool in "crane digest" "oras resolve --plain-http" \
		"regctl image digest --host reg=localhost:$port,tls=disabled"; do
		digest=$($tool --platform "$wanted" $at:index 2>log) || digest=
		which=-
		for platform; do
			[ "$digest" != "$(crane digest "$at:$(echo "$platform" | tr / -)")" ] || which=$platform
		done
		echo "  ${tool%% *}: $which"
	done
}
{
	taken linux/amd64 linux/amd64/v3 linux/amd64
	taken linux/arm linux/arm/v6 linux/arm/v7
	taken linux/arm64/v8 linux/arm64
	taken linux/arm64 linux/arm64/v8
} >seen
cat seen
cat >expected <<'TEXT'
linux/amd64 of linux/amd64/v3 linux/amd64
  containerd: linux/amd64
  crane: linux/amd64/v3
  oras: linux/amd64/v3
  regctl: linux/amd64
linux/arm of linux/arm/v6 linux/arm/v7
  containerd: linux/arm/v7
  crane: linux/arm/v6
  oras: linux/arm/v6
  regctl: linux/arm/v7
linux/arm64/v8 of linux/arm64
  containerd: linux/arm64
  crane: -
  oras: -
  regctl: linux/arm64
linux/arm64 of linux/arm64/v8
  containerd: linux/arm64/v8
  crane: linux/arm64/v8
  oras: linux/arm64/v8
  regctl: linux/arm64/v8
TEXT
diff expected seen
