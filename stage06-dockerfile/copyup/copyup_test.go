package copyup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/union"
)

func newTest(t *testing.T) (below string, dir string, w *Writer) {
	below, dir = t.TempDir(), filepath.Join(t.TempDir(), "upper")
	require.NoError(t, os.Mkdir(dir, 0o755))
	w, err := New(dir, []string{below})
	require.NoError(t, err)
	return below, dir, w
}

func TestDirectoriesOnTheWayKeepModeAndTimes(t *testing.T) {
	below, dir, w := newTest(t)
	old := time.Unix(1000, 0)
	require.NoError(t, os.MkdirAll(filepath.Join(below, "a/b"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(below, "a"), 0o711))
	require.NoError(t, os.Chtimes(filepath.Join(below, "a"), old, old))
	to, err := w.Resolve("/a/b", true, Owner{})
	require.NoError(t, err)
	require.Equal(t, "a/b", to)
	require.NoError(t, w.Write("a/b/file", []byte("x"), 0o600, Owner{}, old))
	require.NoError(t, w.Close())
	info, err := os.Stat(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.EqualValues(t, 0o711, info.Mode().Perm())
	require.Equal(t, old, info.ModTime())
	info, err = os.Stat(filepath.Join(dir, "a/b"))
	require.NoError(t, err)
	require.NotEqual(t, old, info.ModTime()) // it has a new file
}

func TestLinksLeadNowhereOutside(t *testing.T) {
	below, _, w := newTest(t)
	for name, target := range map[string]string{"out": "../../etc", "abs": "/etc", "one": "two", "two": "one"} {
		require.NoError(t, os.Symlink(target, filepath.Join(below, name)))
	}
	for _, name := range []string{"/out/passwd", "/abs/passwd", "/../etc/passwd", "out/./../etc/passwd"} {
		to, err := w.Resolve(name, false, Owner{})
		require.NoError(t, err)
		require.Equal(t, "etc/passwd", to, name)
	}
	_, err := w.Resolve("/one", false, Owner{})
	require.EqualError(t, err, "/one: too many links on the way")
	require.NoError(t, w.Close())
}

func TestUnpackStaysInItsDirectory(t *testing.T) {
	below, dir, w := newTest(t)
	require.NoError(t, os.WriteFile(filepath.Join(below, "outside"), nil, 0o644))
	var archive bytes.Buffer
	out := tar.NewWriter(&archive)
	me := tar.Header{Uid: os.Getuid(), Gid: os.Getgid(), Mode: 0o640}
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/.."},
		{Typeflag: tar.TypeReg, Name: "link/../../file"},
		{Typeflag: tar.TypeDir, Name: "empty"},
		{Typeflag: tar.TypeLink, Name: "same", Linkname: "/../file"},
	} {
		h.Uid, h.Gid, h.Mode = me.Uid, me.Gid, me.Mode
		require.NoError(t, out.WriteHeader(&h))
	}
	require.NoError(t, out.Close())
	require.NoError(t, w.Unpack(&archive, "/to", nil, func(int64, int64) error { return nil }))
	require.NoError(t, w.Close())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	var names []string
	entries, err = os.ReadDir(filepath.Join(dir, "to"))
	require.NoError(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	require.Equal(t, []string{"empty", "file", "link", "same"}, names)
}

// TestPlace follows cp(1): a file goes into a directory, and to any other path.
func TestPlace(t *testing.T) {
	below, dir, w := newTest(t)
	require.NoError(t, os.Mkdir(filepath.Join(below, "d"), 0o755))
	require.NoError(t, os.Symlink("d", filepath.Join(below, "link")))
	for _, c := range []struct {
		to    string
		isDir bool
		want  string
	}{{"/d", false, "d/f"}, {"/link", false, "d/f"}, {"/new", false, "new"}, {"/new", true, "new/f"}, {"/a/b", false, "a/b"}, {"/", true, "f"}} {
		place, err := w.Place(c.to, "f", c.isDir, Owner{})
		require.NoError(t, err)
		require.Equal(t, c.want, place, c.to)
	}
	require.DirExists(t, filepath.Join(dir, "a"), "on the way")
	require.NoError(t, w.Close())
}

func TestParents(t *testing.T) {
	below, dir, w := newTest(t)
	source := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(source, "pivot/a/b/c"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(source, "pivot/a/b/c/file"), nil, 0o644))
	require.NoError(t, os.MkdirAll(filepath.Join(below, "in/a"), 0o711))
	require.NoError(t, os.WriteFile(filepath.Join(below, "in/file"), nil, 0o644))
	u, err := union.Open([]string{source})
	require.NoError(t, err)
	defer u.Close()
	find := func(name string) *union.Node {
		n, err := u.Find(name, false)
		require.NoError(t, err)
		return n
	}
	for _, name := range []string{"pivot/a/b/c/file", "pivot/a/b/c"} {
		to, err := w.Parents("/in", find(name), find("pivot"), Owner{})
		require.NoError(t, err)
		require.Equal(t, "in/a/b/c", to)
	}
	for _, name := range []string{"in/a", "in/a/b", "in/a/b/c"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.EqualValues(t, 0o750, info.Mode().Perm(), name)
	}
	_, err = w.Parents("/in/file", find("pivot/a"), find("pivot"), Owner{})
	require.Error(t, err, "it is a file")
	require.NoError(t, w.Close())
}

func TestUnpackFile(t *testing.T) {
	source := t.TempDir()
	var archive, zipped bytes.Buffer
	out := tar.NewWriter(&archive)
	require.NoError(t, out.WriteHeader(&tar.Header{Name: "name", Size: 4, Mode: 0o644}))
	_, err := out.Write([]byte("text"))
	require.NoError(t, err)
	require.NoError(t, out.Close())
	zip := gzip.NewWriter(&zipped)
	_, err = zip.Write(archive.Bytes())
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	for name, content := range map[string][]byte{"tar": archive.Bytes(), "gz": zipped.Bytes(), "text": []byte("text"), "zeros": make([]byte, 4096), "empty": nil} {
		require.NoError(t, os.WriteFile(filepath.Join(source, name), content, 0o644))
	}
	u, err := union.Open([]string{source})
	require.NoError(t, err)
	defer u.Close()
	_, dir, w := newTest(t)
	for name, want := range map[string]bool{"tar": true, "gz": true, "text": false, "zeros": false, "empty": false, ".": false} {
		n, err := u.Find(name, false)
		require.NoError(t, err)
		was, err := w.UnpackFile(n, "/"+name, nil, func(bytes, files int64) error { return nil })
		require.NoError(t, err, name)
		require.Equal(t, want, was, name)
		if want {
			data, err := os.ReadFile(filepath.Join(dir, name, "name"))
			require.NoError(t, err)
			require.Equal(t, "text", string(data))
		}
	}
	require.NoError(t, w.Close())
}
