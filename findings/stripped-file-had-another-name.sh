#!/bin/sh
# regctl v0.11.7 (github.com/regclient/regclient): `regctl image mod --layer-strip-file` makes a layer that cannot
# be unpacked, if the file had a second name and the layer's archive has the stripped one first.
#
# In a tar archive the content of a file stands with its first name; another name is an entry that refers to
# it, a hard link (POSIX, pax, "ustar Interchange Format", typeflag 1). The OCI image specification (layer.md,
# "Representing Changes", "Hardlinks") has layers contain them. regctl takes the named entry out, and with it
# the only content; the entry of the other name stays.
#
# Seen, of a layer with "first" and its second name "second": without "second", "first" is unpacked as it was.
# Without "first", GNU tar 1.34, umoci v0.6.0 (oci/layer: UnpackLayer), containerd v2.4.2 (pkg/archive: Apply)
# and moby (go-archive v0.3.3) all fail on "second". regctl says nothing.
#
# Exits with 0 while that is so. Needs root, Linux, Go, a module proxy and GNU tar.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOBIN="$dir/bin" CGO_ENABLED=0 PATH="$dir/bin:$PATH"
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	containerd "github.com/containerd/containerd/v2/pkg/archive"
	moby "github.com/moby/go-archive"
	umoci "github.com/opencontainers/umoci/oci/layer"
)

// Unpacks the layer that comes on standard input: the tool, and the directory.
func main() {
	var err error
	switch tool, dir := os.Args[1], os.Args[2]; tool {
	case "umoci":
		err = umoci.UnpackLayer(dir, io.Reader(os.Stdin), nil)
	case "containerd":
		_, err = containerd.Apply(context.Background(), dir, os.Stdin)
	case "moby":
		_, err = moby.UnpackLayer(dir, os.Stdin, &moby.TarOptions{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
GO
{
	go mod init finding
	go get github.com/containerd/containerd/v2@v2.4.2 github.com/moby/go-archive@v0.3.3 github.com/opencontainers/umoci@v0.6.0
	go mod tidy
	go build -o bin/unpack .
	go install github.com/google/go-containerregistry/cmd/crane@v0.22.1
	go install github.com/regclient/regclient/cmd/regctl@v0.11.7
} >log 2>&1 || { cat log; exit 2; }

echo content >first
ln first second
tar -cf layer.tar first second
crane append --oci-empty-base -f layer.tar -t app:1 -o app.tar >log 2>&1 || { cat log; exit 2; }
{
	regctl image import ocidir://image:whole app.tar
	for name in first second; do
		regctl image mod ocidir://image:whole --layer-strip-file $name --create ocidir://image:without-$name
	done
} >log 2>&1 || { cat log; exit 2; }
for image in whole without-second without-first; do
	echo "$image:"
	regctl blob get ocidir://image "$(regctl manifest get ocidir://image:$image --format '{{(index .Layers 0).Digest}}')" >layer
	case $(head -c 2 layer | od -An -tx1) in
	' 1f 8b') gzip -dc <layer >layer.tar ;;
	*) cp layer layer.tar ;;
	esac
	echo "  entries: $(tar -tvf layer.tar | sed 's/.*[0-9] \([fs]\)/\1/' | paste -sd, -)"
	for tool in tar umoci containerd moby; do
		mkdir "$tool-$image"
		case $tool in
		tar) unpack="tar -C $tool-$image -x" ;;
		*) unpack="unpack $tool $tool-$image" ;;
		esac
		if $unpack <layer.tar 2>/dev/null; then
			echo "  $tool: $(cd "$tool-$image" && grep -r content . | sort | paste -sd' ' -)"
		else
			echo "  $tool: fails"
		fi
	done
done >seen
cat seen
cat >expected <<'TEXT'
whole:
  entries: first,second link to first
  tar: ./first:content ./second:content
  umoci: ./first:content ./second:content
  containerd: ./first:content ./second:content
  moby: ./first:content ./second:content
without-second:
  entries: first
  tar: ./first:content
  umoci: ./first:content
  containerd: ./first:content
  moby: ./first:content
without-first:
  entries: second link to first
  tar: fails
  umoci: fails
  containerd: fails
  moby: fails
TEXT
diff expected seen
