#!/bin/sh
# github.com/google/go-containerregistry v0.22.1, with which `crane append` makes layers, and
# go.podman.io/storage v1.65.1, with which podman and buildah unpack layers and archives of ADD, do
# not know an archive that pzstd (Debian's package zstd 1.5.4+dfsg2-5+deb12u1) has compressed.
#
# pzstd compresses on several cores, and begins its output with a skippable frame. RFC 8478, which the
# OCI image specification names for layers of type tar+zstd, has two kinds of frames (3.1,
# "Frames"), of which a file may have any number in any order. Both libraries look for the first four
# bytes of the other kind alone.
#
# Seen: from an archive by zstd, all four libraries read its file. From one by pzstd, containerd
# v2.4.2 and github.com/moby/go-archive v0.3.3 do. go-containerregistry compresses it once more and
# calls that a layer of type tar+gzip, without an error; in it is no tar archive. podman's library
# takes the archive for one without compression (buildah 1.28.2 copies it at an `ADD`, as it is).
#
# Exits with 0 while that is so. Needs Debian 12, Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download zstd=1.5.4+dfsg2-5+deb12u1 >/dev/null 2>&1
dpkg-deb -x zstd_*.deb root
cat > main.go <<'GO'
package main

import (
	"archive/tar"
	"fmt"
	"io"
	"os"

	containerd "github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	moby "github.com/moby/go-archive/compression"
	podman "go.podman.io/storage/pkg/archive"
)

// Of each archive that is an argument, it prints what four libraries find in it.
func main() {
	for _, path := range os.Args[1:] {
		fmt.Println(path)
		archive, err := containerd.DecompressStream(open(path))
		show("containerd", archive, err)
		archive2, err := moby.DecompressStream(open(path))
		show("moby", archive2, err)
		archive3, err := podman.DecompressStream(open(path))
		show("podman", archive3, err)

		image, err := crane.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), path)
		must(err)
		layers, err := image.Layers()
		must(err)
		kind, err := layers[0].MediaType()
		must(err)
		archive4, err := layers[0].Uncompressed()
		show("crane: "+string(kind), archive4, err)
	}
}

func open(path string) io.Reader {
	file, err := os.Open(path)
	must(err)
	return file
}

// show prints the name of the first file in a tar archive.
func show(library string, archive io.Reader, err error) {
	must(err)
	if header, err := tar.NewReader(archive).Next(); err == nil {
		fmt.Printf("  %s: %s\n", library, header.Name)
	} else {
		fmt.Printf("  %s: no tar archive\n", library)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/containerd/containerd/v2@v2.4.2 github.com/moby/go-archive@v0.3.3 \
	github.com/google/go-containerregistry@v0.22.1 go.podman.io/storage@v1.65.1 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
CGO_ENABLED=0 go build -o look .
echo hello >hello
tar -cf archive.tar hello
root/usr/bin/zstd -q archive.tar -o by-zstd.tar.zst
root/usr/bin/pzstd -q archive.tar -o by-pzstd.tar.zst
./look by-zstd.tar.zst by-pzstd.tar.zst >seen
cat seen
cat > expected <<'TEXT'
by-zstd.tar.zst
  containerd: hello
  moby: hello
  podman: hello
  crane: application/vnd.oci.image.layer.v1.tar+zstd: hello
by-pzstd.tar.zst
  containerd: hello
  moby: hello
  podman: no tar archive
  crane: application/vnd.oci.image.layer.v1.tar+gzip: no tar archive
TEXT
diff expected seen
