package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/ocispec"
)

// builtImage is what an image comes to: its configuration without what is empty, and each
// file in words, such as `file 0644 0:0 2001-09-09T01:46:40Z "hello\n"`.
type builtImage struct {
	Refused string            `json:"refused,omitempty"` // what the builder said instead
	Config  map[string]any    `json:"config,omitempty"`
	Files   map[string]string `json:"files,omitempty"`

	tree imageTree
}

// imageFile is a file of an image; several paths may have the same.
type imageFile struct {
	tar.Header
	text string // the content in words
}

// imageTree is the files of an image, by their absolute paths.
type imageTree map[string]*imageFile

// readImage reads an archive that is an OCI image layout.
func readImage(t testing.TB, archive string) builtImage {
	blobs := untarred(t, archive)
	blob := func(d digest.Digest) []byte {
		data := blobs["blobs/"+string(d.Algorithm())+"/"+d.Encoded()]
		require.Equal(t, d, digest.FromBytes(data))
		return data
	}
	var index ocispec.Index
	require.NoError(t, json.Unmarshal(blobs["index.json"], &index))
	require.Len(t, index.Manifests, 1)
	var manifest ocispec.Manifest
	require.NoError(t, json.Unmarshal(blob(index.Manifests[0].Digest), &manifest))
	b := builtImage{Config: readConfig(t, blob(manifest.Config.Digest)), tree: imageTree{}}
	for _, layer := range manifest.Layers {
		b.tree.add(t, blob(layer.Digest))
	}
	return b
}

// since keeps of an image what is different from another one. What was changed after start
// is of now: that time is different in each build.
func (b builtImage) since(base builtImage, start time.Time) builtImage {
	config := maps.Clone(b.Config)
	for key, value := range base.Config {
		if reflect.DeepEqual(config[key], value) {
			delete(config, key)
		} else if config[key] == nil {
			config[key] = "gone"
		}
	}
	return builtImage{Config: config, Files: b.tree.since(base.tree, start)}
}

// untarred is the files of an archive.
func untarred(t testing.TB, name string) map[string][]byte {
	src, err := os.ReadFile(name)
	require.NoError(t, err)
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(src)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		require.NoError(t, err)
		files[path.Clean(h.Name)], err = io.ReadAll(r)
		require.NoError(t, err)
	}
}

// readConfig takes out of an image's configuration what instructions set.
func readConfig(t testing.TB, src []byte) map[string]any {
	var all struct {
		OS, Architecture, Variant, Author string
		Config                            map[string]any
	}
	require.NoError(t, json.Unmarshal(src, &all))
	config := map[string]any{}
	for key, value := range all.Config {
		if v := reflect.ValueOf(value); value != nil && (v.Kind() != reflect.Slice && v.Kind() != reflect.Map && !v.IsZero() || v.Kind() != reflect.Bool && v.Kind() != reflect.Float64 && v.Len() > 0) {
			config[key] = value
		}
	}
	if all.Author != "" {
		config["author"] = all.Author
	}
	if platform := path.Join(all.OS, all.Architecture, all.Variant); platform != "linux/"+runtime.GOARCH {
		config["platform"] = platform
	}
	return config
}

// add lays a layer over the tree: first what it hides, then its files.
func (tree imageTree) add(t testing.TB, blob []byte) {
	stream, _, err := layer.Decompress(bytes.NewReader(blob))
	require.NoError(t, err)
	defer stream.Close()
	upper := imageTree{}
	for r := tar.NewReader(stream); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		f := &imageFile{*h, inWords(content)}
		if h.Typeflag == tar.TypeLink {
			f = upper[path.Join("/", h.Linkname)]
			require.NotNil(t, f, "%s is another name of %s, which is not in its layer", h.Name, h.Linkname)
		}
		upper[path.Join("/", h.Name)] = f
	}
	for name := range upper {
		dir, base := path.Split(name)
		hidden, is := strings.CutPrefix(base, ".wh.")
		switch {
		case base == ".wh..wh..opq":
			tree.remove(path.Clean(dir), false)
		case is:
			tree.remove(path.Join(dir, hidden), true)
		}
	}
	for name, f := range upper {
		if strings.HasPrefix(path.Base(name), ".wh.") {
			continue
		}
		if f.Typeflag != tar.TypeDir {
			tree.remove(name, true)
		}
		tree[name] = f
	}
}

// remove takes a file away with all that is below it.
func (tree imageTree) remove(name string, itself bool) {
	maps.DeleteFunc(tree, func(p string, _ *imageFile) bool {
		return itself && p == name || strings.HasPrefix(p, strings.TrimSuffix(name, "/")+"/")
	})
}

// inWords is a text of a line or a few, or a digest.
func inWords(content []byte) string {
	if len(content) <= 400 && utf8.Valid(content) && !bytes.ContainsRune(content, 0) {
		return fmt.Sprintf("%q", content)
	}
	return fmt.Sprintf("%d bytes, %s", len(content), digest.FromBytes(content))
}

// since tells what is different from another tree.
func (tree imageTree) since(base imageTree, start time.Time) map[string]string {
	files, names, before := map[string]string{}, tree.names(), base.names()
	for name, f := range tree {
		words := f.words(start, name, names[f])
		if old := base[name]; name != "/" && (old == nil || words != old.words(start, name, before[old])) {
			files[name] = words
		}
	}
	for name := range base {
		if tree[name] == nil && (tree[path.Dir(name)] != nil || base[path.Dir(name)] == nil) {
			files[name] = "gone"
		}
	}
	return files
}

// names are all that a file is called.
func (tree imageTree) names() map[*imageFile][]string {
	names := map[*imageFile][]string{}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		names[tree[name]] = append(names[tree[name]], name)
	}
	return names
}

// words are what a file is, and what else it is called.
func (f *imageFile) words(start time.Time, name string, names []string) string {
	kind := map[byte]string{tar.TypeDir: "dir", tar.TypeReg: "file", tar.TypeSymlink: "link", tar.TypeFifo: "fifo", tar.TypeChar: "char", tar.TypeBlock: "block"}[f.Typeflag]
	at := f.ModTime.UTC().Truncate(time.Second).Format(time.RFC3339)
	if !f.ModTime.Before(start.Truncate(time.Second)) {
		at = "now"
	}
	words := fmt.Sprintf("%s %04o %d:%d %s", kind, f.Mode&0o7777, f.Uid, f.Gid, at)
	switch f.Typeflag {
	case tar.TypeReg:
		words += " " + f.text
	case tar.TypeSymlink:
		words += " -> " + f.Linkname
	case tar.TypeChar, tar.TypeBlock:
		words += fmt.Sprintf(" %d:%d", f.Devmajor, f.Devminor)
	}
	for _, record := range slices.Sorted(maps.Keys(f.PAXRecords)) {
		if name, is := strings.CutPrefix(record, files.XattrPrefix); is {
			words += fmt.Sprintf(" %s=%q", name, f.PAXRecords[record])
		}
	}
	for _, other := range names {
		if other != name {
			words += " = " + other
		}
	}
	return words
}

// TestLayoutOfABuiltImage holds what README says about other tools: they can read a built image in
// images/ once it was saved.
func TestLayoutOfABuiltImage(t *testing.T) {
	dir := t.TempDir()
	root, context := filepath.Join(dir, "store"), filepath.Join(dir, "context")
	require.NoError(t, os.Mkdir(context, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(context, "Dockerfile"), []byte("FROM scratch\nCOPY Dockerfile /\n"), 0o644))
	copied := func() error {
		return exec.Command("skopeo", "copy", "-q", "oci:"+root+"/images:docker.io/library/built:1", "oci:"+t.TempDir()+":x").Run()
	}
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed: apt-get install skopeo")
	}
	_, stderr, status := run(t, "build", "-q", "--root", root, "-t", "built:1", context)
	require.Zero(t, status, stderr)
	require.Error(t, copied(), "its layer is only in layers/")
	_, stderr, status = run(t, "save", "--root", root, "built:1")
	require.Zero(t, status, stderr)
	require.NoError(t, copied())
}
