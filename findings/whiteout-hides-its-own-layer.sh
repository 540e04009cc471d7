#!/bin/sh
# github.com/containerd/containerd/v2 v2.4.2, pkg/archive: Apply, and github.com/moby/go-archive
# v0.3.3: UnpackLayer. Both let a whiteout remove what the same layer holds, if the whiteout
# comes later in the tar stream. github.com/opencontainers/umoci v0.6.0, oci/layer: UnpackLayer,
# removes what the lower layer held and nothing else.
#
# The OCI image specification (layer.md, "Whiteouts") says that whiteouts apply to lower layers
# only, and that files of the same layer can be hidden by later layers alone.
#
# Seen, over a layer with d/old:
#   d/ d/new .wh.d     containerd and moby remove d/new, and then fail to set the time of d
#   d/ d/new d/.wh.new both remove d/new, and report no error
# umoci keeps d/new each time. With the whiteout first, all three agree.
#
# Exits with 0 while that is so. Needs Linux, Go and a module proxy.
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
	"strings"

	containerd "github.com/containerd/containerd/v2/pkg/archive"
	moby "github.com/moby/go-archive"
	umoci "github.com/opencontainers/umoci/oci/layer"
)

// layer is a tar stream of empty files; a name that ends in a slash is a directory.
func layer(names ...string) io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		h := &tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg}
		if strings.HasSuffix(name, "/") {
			h.Mode, h.Typeflag = 0o755, tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
	}
	w.Close()
	return &b
}

func main() {
	unpackers := []struct {
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
	}
	for _, second := range [][]string{
		{".wh.d", "d/", "d/new"},
		{"d/", "d/new", ".wh.d"},
		{"d/", "d/new", "d/.wh.new"},
	} {
		fmt.Println("layer", strings.Join(second, " "))
		for _, u := range unpackers {
			dir, err := os.MkdirTemp(".", u.name)
			if err == nil {
				err = u.unpack(dir, layer("d/", "d/old"))
			}
			if err != nil {
				panic(err)
			}
			err = u.unpack(dir, layer(second...))
			_, missing := os.Stat(filepath.Join(dir, "d/new"))
			fmt.Printf("  %s: d/new kept: %v, error: %v\n", u.name, missing == nil, err != nil)
		}
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/containerd/containerd/v2@v2.4.2 github.com/moby/go-archive@v0.3.3 \
	github.com/opencontainers/umoci@v0.6.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run . > seen
cat seen
cat > expected <<'TEXT'
layer .wh.d d/ d/new
  containerd: d/new kept: true, error: false
  moby: d/new kept: true, error: false
  umoci: d/new kept: true, error: false
layer d/ d/new .wh.d
  containerd: d/new kept: false, error: true
  moby: d/new kept: false, error: true
  umoci: d/new kept: true, error: false
layer d/ d/new d/.wh.new
  containerd: d/new kept: false, error: false
  moby: d/new kept: false, error: false
  umoci: d/new kept: true, error: false
TEXT
diff expected seen
