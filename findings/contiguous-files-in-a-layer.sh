#!/bin/sh
# github.com/containerd/containerd/v2 v2.4.2, pkg/archive: Apply; github.com/moby/go-archive
# v0.3.3: UnpackLayer; github.com/opencontainers/umoci v0.6.0, oci/layer: UnpackLayer. A tar may
# call a file "contiguous" (typeflag '7'). POSIX (pax, "ustar Interchange Format") has such a
# file read as an ordinary one where the system knows no difference; GNU tar and Go's archive/tar
# do so.
#
# Seen: all three refuse the layer. GNU tar 1.34 unpacks the file, and Python 3.11's tarfile does.
#
# Exits with 0 while that is so. Needs Linux, Go, a module proxy, GNU tar and Python.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	containerd "github.com/containerd/containerd/v2/pkg/archive"
	moby "github.com/moby/go-archive"
	umoci "github.com/opencontainers/umoci/oci/layer"
)

// layer is a tar stream of a contiguous file.
func layer() io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: 5, Typeflag: tar.TypeCont}))
	_, err := w.Write([]byte("hello"))
	must(err)
	must(w.Close())
	return &b
}

func main() {
	text, err := io.ReadAll(layer())
	must(err)
	must(os.WriteFile("layer.tar", text, 0o600))
	for _, u := range []struct {
		name   string
		unpack func(dir string, r io.Reader) error
	}{
		{"containerd", func(dir string, r io.Reader) error {
			_, err := containerd.Apply(context.Background(), dir, r)
			return err
		}},
		{"moby", func(dir string, r io.Reader) error {
			_, err := moby.UnpackLayer(dir, r, &moby.TarOptions{})
			return err
		}},
		{"umoci", func(dir string, r io.Reader) error { return umoci.UnpackLayer(dir, r, nil) }},
	} {
		dir, err := os.MkdirTemp(".", u.name)
		must(err)
		err = u.unpack(dir, layer())
		text, _ := os.ReadFile(filepath.Join(dir, "file"))
		fmt.Printf("%s: %q, error: %v\n", u.name, text, err)
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
	github.com/opencontainers/umoci@v0.6.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run . > seen
mkdir gnu python
tar -xf layer.tar -C gnu 2>/dev/null # it warns that the file will be an ordinary one
python3 -c 'import tarfile; tarfile.open("layer.tar").extractall("python", filter="data")'
printf 'GNU tar: "%s"\nPython: "%s"\n' "$(cat gnu/file)" "$(cat python/file)" >> seen
cat seen
cat > expected <<'TEXT'
containerd: "", error: unhandled tar header type 55
moby: "", error: unhandled tar header type 55
umoci: "", error: unpack entry: file: unpack entry: file: unknown typeflag '\x37'
GNU tar: "hello"
Python: "hello"
TEXT
diff expected seen
