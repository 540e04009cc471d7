#!/bin/sh
# crane v0.22.1 (github.com/google/go-containerregistry, pkg/v1/mutate: Extract): where an upper layer replaces
# or removes one of two names of a file, `crane export` and `crane flatten` change what the other name has.
#
# The OCI image specification (layer.md, "Change Types") has a layer add, replace or remove one path; the other
# names of a file in lower layers keep its content. In a tar archive the second name is an entry that refers to
# the first ("hard link"). crane writes that entry as it is, and the first name from the layer above, or not.
#
# Seen, over a layer with "first" and its second name "second", in both of which is "old":
#   a layer with another "first"       "second" has "new"; umoci v0.6.0 (oci/layer: UnpackLayer), containerd
#                                      v2.4.2 (pkg/archive: Apply) and moby (go-archive v0.3.3) leave "old" there
#   a layer with the whiteout .wh.first   the archive has a link to nothing, so that GNU tar 1.34 fails; the
#                                      others leave "old" in "second"
#
# Exits with 0 while that is so. Needs root, Linux, Go, a module proxy and GNU tar. The registry is crane's
# own; it listens on localhost and keeps images in memory.
set -eu
dir=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill $registry; rm -rf "$dir"' EXIT
cd "$dir"
export GOBIN="$dir/bin" CGO_ENABLED=0 PATH="$dir/bin:$PATH"
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	containerd "github.com/containerd/containerd/v2/pkg/archive"
	moby "github.com/moby/go-archive"
	umoci "github.com/opencontainers/umoci/oci/layer"
)

// Unpacks the layers that follow the tool's name and a directory, one after the other.
func main() {
	for _, name := range os.Args[3:] {
		file, err := os.Open(name)
		must(err)
		switch os.Args[1] {
		case "umoci":
			err = umoci.UnpackLayer(os.Args[2], file, nil)
		case "containerd":
			_, err = containerd.Apply(context.Background(), os.Args[2], file)
		case "moby":
			_, err = moby.UnpackLayer(os.Args[2], file, &moby.TarOptions{})
		}
		must(err)
	}
}

func must(err error) {
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
} >log 2>&1 || { cat log; exit 2; }
crane registry serve --address 127.0.0.1:0 >served 2>&1 &
registry=$!
until port=$(grep -o '[0-9]*$' served); do
	kill -0 $registry
	sleep 0.1
done
at=localhost:$port/app

echo old >first
ln first second
tar -cf below.tar first second
rm first
echo new >first
tar -cf replaced.tar first
: >.wh.first
tar -cf removed.tar .wh.first
crane append --oci-empty-base -f below.tar -t $at:below >log 2>&1 || { cat log; exit 2; }
for above in replaced removed; do
	echo "$above:"
	crane append -b $at:below -f $above.tar -t $at:$above >log 2>&1 || { cat log; exit 2; }
	for tool in umoci containerd moby; do
		mkdir "$tool-$above"
		unpack $tool "$tool-$above" below.tar $above.tar
		echo "  $tool: second has $(cat "$tool-$above/second")"
	done
	crane flatten $at:$above -t $at:flat >log 2>&1 || { cat log; exit 2; }
	for how in $above flat; do
		mkdir "crane-$above-$how"
		if crane export $at:$how - | tar -C "crane-$above-$how" -x 2>/dev/null; then
			echo "  crane ($how): second has $(cat "crane-$above-$how/second")"
		else
			echo "  crane ($how): tar fails"
		fi
	done
done >seen
cat seen
cat >expected <<'TEXT'
replaced:
  umoci: second has old
  containerd: second has old
  moby: second has old
  crane (replaced): second has new
  crane (flat): second has new
removed:
  umoci: second has old
  containerd: second has old
  moby: second has old
  crane (removed): tar fails
  crane (flat): tar fails
TEXT
diff expected seen
