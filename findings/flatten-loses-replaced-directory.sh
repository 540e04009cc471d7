#!/bin/sh
# github.com/google/go-containerregistry v0.22.1, pkg/v1/mutate: Extract, which `crane export`
# and `crane flatten` use, loses the files of a layer that removes a directory and makes it
# again, if the whiteout comes first in the layer.
#
# The OCI image specification (layer.md, "Whiteouts") says that whiteouts apply to lower layers
# only. Unpacked one after the other by umoci, containerd or moby, the same layers have d/new.
#
# Seen, over a layer with d/old: the layer ".wh.d d/ d/new" gives nothing of d, while
# "d/ d/new .wh.d" and "d/ d/.wh..wh..opq d/new", which mean the same, give d and d/new.
#
# Exits with 0 while that is so. Needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// layer is a tar stream of empty files; a name that ends in a slash is a directory.
func layer(names ...string) v1.Layer {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		h := &tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg}
		if strings.HasSuffix(name, "/") {
			h.Mode, h.Typeflag = 0o755, tar.TypeDir
		}
		must(w.WriteHeader(h))
	}
	must(w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	})
	must(err)
	return l
}

func main() {
	for _, second := range []string{".wh.d d/ d/new", "d/ d/new .wh.d", "d/ d/.wh..wh..opq d/new"} {
		image, err := mutate.AppendLayers(empty.Image, layer("d/", "d/old", "e"), layer(strings.Fields(second)...))
		must(err)
		var names []string
		files := tar.NewReader(mutate.Extract(image))
		for {
			h, err := files.Next()
			if err == io.EOF {
				break
			}
			must(err)
			names = append(names, h.Name)
		}
		fmt.Printf("%s: %s\n", second, strings.Join(names, " "))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/google/go-containerregistry@v0.22.1 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run . > seen
cat seen
cat > expected <<'TEXT'
.wh.d d/ d/new: e
d/ d/new .wh.d: d d/new e
d/ d/.wh..wh..opq d/new: d d/new e
TEXT
diff expected seen
