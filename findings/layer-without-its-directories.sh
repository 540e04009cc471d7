#!/bin/sh
# go.podman.io/storage v1.65.1, with which podman and buildah keep images: the same two layers become
# two different file systems, by the storage driver.
# The upper layer has a file below a directory of the lower one, and no entry for that directory:
# `crane append` and the rules of Bazel make such layers of an archive that has none.
#
# The OCI image specification (layer.md, "Representing Changes") has such a file in its own example,
# ./bin/my-app-tools. What becomes of the directory it does not say.
#
# Seen, over a layer with a directory "conf" of mode 0700 and a link "lib" to usr/lib: for conf/new and
# lib/new, the driver vfs leaves directory and link as they were, and so does umoci v0.6.0
# (github.com/opencontainers/umoci, oci/layer: UnpackLayer). With the driver overlay, conf has the mode
# 0755, and lib is a directory without the files of usr/lib, among them the loader of a system
# whose /lib is a link. If the upper layer has entries for conf and lib, all three agree.
#
# Exits with 0 while that is so. Needs root, overlay in the kernel, Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export CGO_ENABLED=0
cat > main.go <<'GO'
package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	umoci "github.com/opencontainers/umoci/oci/layer"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
)

// layer is a tar stream of empty files, directories ("d/") and links ("l -> target").
func layer(entries ...string) io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, entry := range entries {
		name, target, link := strings.Cut(entry, " -> ")
		h := &tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg}
		switch {
		case link:
			h.Typeflag, h.Linkname = tar.TypeSymlink, target
		case strings.HasSuffix(name, "/"):
			h.Mode, h.Typeflag = 0o700, tar.TypeDir
		}
		must(w.WriteHeader(h))
	}
	must(w.Close())
	return &b
}

func lower() io.Reader {
	return layer("conf/", "usr/", "usr/lib/", "usr/lib/old", "lib -> usr/lib")
}

func main() {
	if reexec.Init() {
		return
	}
	for _, upper := range [][]string{{"conf/new", "lib/new"}, {"conf/", "conf/new", "lib/", "lib/new"}} {
		fmt.Println("layer", strings.Join(upper, " "))
		for _, driver := range []string{"vfs", "overlay"} {
			stored(driver, upper)
		}
		root, err := os.MkdirTemp(".", "umoci")
		must(err)
		must(umoci.UnpackLayer(root, lower(), nil))
		must(umoci.UnpackLayer(root, layer(upper...), nil))
		show("umoci", root)
	}
}

// stored puts the layers into a store of podman's, and looks at them as a container would.
func stored(driver string, upper []string) {
	dir, err := os.MkdirTemp("", driver)
	must(err)
	defer os.RemoveAll(dir)
	store, err := storage.GetStore(storage.StoreOptions{
		RunRoot: filepath.Join(dir, "run"), GraphRoot: filepath.Join(dir, "graph"), GraphDriverName: driver})
	must(err)
	_, _, err = store.PutLayer("lower", "", nil, "", false, nil, lower())
	must(err)
	_, _, err = store.PutLayer("upper", "lower", nil, "", false, nil, layer(upper...))
	must(err)
	_, err = store.CreateLayer("container", "upper", nil, "", true, nil)
	must(err)
	root, err := store.Mount("container", "")
	must(err)
	show(driver, root)
	_, err = store.Unmount("container", true)
	must(err)
	_, err = store.Shutdown(true)
	must(err)
}

func show(name, root string) {
	conf, err := os.Lstat(filepath.Join(root, "conf"))
	must(err)
	lib, err := os.Lstat(filepath.Join(root, "lib"))
	must(err)
	is := "a directory"
	if lib.Mode()&os.ModeSymlink != 0 {
		is = "a link"
	}
	_, missing := os.Stat(filepath.Join(root, "lib/old"))
	fmt.Printf("  %s: conf has mode %04o, lib is %s, lib/old is there: %v\n", name, conf.Mode().Perm(), is, missing == nil)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
GO
{
	go mod init finding
	go get go.podman.io/storage@v1.65.1 github.com/opencontainers/umoci@v0.6.0
	go mod tidy
	go build -tags exclude_graphdriver_btrfs -o look .
} >log 2>&1 || { cat log; exit 2; }
TMPDIR="$dir" ./look >seen
cat seen
cat > expected <<'TEXT'
layer conf/new lib/new
  vfs: conf has mode 0700, lib is a link, lib/old is there: true
  overlay: conf has mode 0755, lib is a directory, lib/old is there: false
  umoci: conf has mode 0700, lib is a link, lib/old is there: true
layer conf/ conf/new lib/ lib/new
  vfs: conf has mode 0700, lib is a directory, lib/old is there: false
  overlay: conf has mode 0700, lib is a directory, lib/old is there: false
  umoci: conf has mode 0700, lib is a directory, lib/old is there: false
TEXT
diff expected seen
