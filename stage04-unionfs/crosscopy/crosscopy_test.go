package crosscopy_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/crosscopy"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// newTree makes a tree of files: a path ends with a slash for a directory, and holds an arrow for
// a link.
func newTree(t *testing.T, paths ...string) (crosscopy.Tree, string) {
	t.Helper()
	dir := t.TempDir()
	for _, p := range paths {
		name, target, isLink := strings.Cut(p, "->")
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		switch {
		case isLink:
			require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
		case strings.HasSuffix(p, "/"):
			require.NoError(t, os.MkdirAll(filepath.Join(dir, p), 0o755))
		default:
			require.NoError(t, os.WriteFile(filepath.Join(dir, p), []byte("old "+p), 0o644))
		}
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return crosscopy.Tree{Root: fd, Name: "to:"}, dir
}

// list is what a tree holds.
func list(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil || name == ".":
			return err
		case info.IsDir():
			name += "/"
		case info.Mode()&os.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			name += "->" + target
		default:
			data, _ := os.ReadFile(path)
			name += "=" + string(data)
		}
		all = append(all, name)
		return nil
	}))
	return strings.Join(all, " ")
}

func copyTo(from crosscopy.Tree, source string, follow bool, to crosscopy.Tree, place string) (int64, error) {
	s, err := from.Source(source, follow)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	p, err := to.Place(place, s)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	return crosscopy.Copy(s, p, false)
}

// TestRules holds the rules against what docker cp does (docker.io 20.10 and the client of 28.2).
func TestRules(t *testing.T) {
	for _, c := range []struct {
		source, place string
		follow        bool
		want          string
		err           string
	}{
		{source: "/f", place: "/d/", want: "d/ d/f=old f"},
		{source: "/f", place: "/d", want: "d/ d/f=old f"},
		{source: "/f", place: "/d/.", want: "d/ d/f=old f"},
		{source: "/f", place: "/", want: "d/ f=old f"},
		{source: "/f", place: "/new", want: "d/ new=old f"},
		{source: "/f", place: "/new/", err: "cp to:/new/: no such directory"},
		{source: "/f", place: "/no/new", err: "cp to:/no/new: no such file or directory"},
		{source: "/dir", place: "/d", want: "d/ d/dir/ d/dir/in=old dir/in d/dir/l->in"},
		{source: "/dir/", place: "/d", want: "d/ d/dir/ d/dir/in=old dir/in d/dir/l->in"},
		{source: "/dir/.", place: "/d", want: "d/ d/in=old dir/in d/l->in"},
		{source: "/dir", place: "/new", want: "d/ new/ new/in=old dir/in new/l->in"},
		{source: "/dir", place: "/new/", want: "d/ new/ new/in=old dir/in new/l->in"},
		{source: "/dir/.", place: "/new", want: "d/ new/ new/in=old dir/in new/l->in"},
		{source: "/dir", place: "/no/new", err: "no such file or directory"},
		{source: "/none", place: "/d", err: "cp to:/none: no such file or directory"},
		{source: "/f/", place: "/d", err: "not a directory"},
		{source: "/link", place: "/d", want: "d/ d/link->f"},
		{source: "/link", place: "/d", follow: true, want: "d/ d/link=old f"},
		{source: "/dirlink", place: "/d", want: "d/ d/dirlink->dir"},
		{source: "/dirlink/", place: "/d", want: "d/ d/dirlink/ d/dirlink/in=old dir/in d/dirlink/l->in"},
		{source: "/dirlink/in", place: "/d", want: "d/ d/in=old dir/in"},
	} {
		from, _ := newTree(t, "f", "dir/in", "dir/l->in", "link->f", "dirlink->dir")
		to, dir := newTree(t, "d/")
		_, err := copyTo(from, c.source, c.follow, to, c.place)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, c)
			continue
		}
		require.NoError(t, err, c)
		require.Equal(t, c.want, list(t, dir), c)
	}
}

// TestNames: the names in an archive are those that Docker's own library, go-archive 0.3.3, gives them,
// and unpacked they make the same files.
func TestNames(t *testing.T) {
	for source, want := range map[string]string{
		"/":       "/ /dir/ /dir/a /dir/b /dir/sub/ /dir/sub/c",
		"/.":      "./ ./dir/ ./dir/a ./dir/b ./dir/sub/ ./dir/sub/c",
		"/dir":    "dir/ dir/a dir/b dir/sub/ dir/sub/c",
		"/dir/":   "dir/ dir/a dir/b dir/sub/ dir/sub/c",
		"/dir/.":  "./ ./a ./b ./sub/ ./sub/c",
		"/dir/a":  "a",
		"/dir/b/": "",
	} {
		from, dir := newTree(t, "dir/a", "dir/sub/c")
		require.NoError(t, os.Link(dir+"/dir/a", dir+"/dir/b"))
		s, err := from.Source(source, false)
		if want == "" {
			require.ErrorIs(t, err, unix.ENOTDIR, source)
			continue
		}
		require.NoError(t, err, source)
		var data bytes.Buffer
		require.NoError(t, s.Archive(&data, nil))
		require.NoError(t, s.Close())
		var names []string
		for r := tar.NewReader(bytes.NewReader(data.Bytes())); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			names = append(names, h.Name)
		}
		require.Equal(t, want, strings.Join(names, " "), source)
		to, made := newTree(t)
		p, err := to.Place("/", nil)
		require.NoError(t, err)
		_, err = p.Unpack(&data, false)
		require.NoError(t, errors.Join(err, p.Close()), source)
		for _, name := range names {
			_, err := os.Stat(filepath.Join(made, name))
			require.NoError(t, err, source)
		}
	}
}

// TestWhatIsThere: files are replaced, links followed where Docker does, and directories merged.
func TestWhatIsThere(t *testing.T) {
	for _, c := range []struct{ there, source, place, want, err string }{
		{"x", "/f", "/x", "x=old f", ""},
		{"f", "/f", "/", "f=old f", ""},
		{"x", "/dir", "/x", "", "cannot copy a directory over a file"},
		{"l->x", "/f", "/l", "l->x x=old f", ""}, // the link leads to nothing yet
		{"l->/a/../x", "/f", "/l", "", "no such file"},
		{"f->x", "/f", "/", "f=old f", ""}, // a link in the directory is replaced
		{"dir/other", "/dir", "/", "dir/ dir/in=old dir/in dir/other=old dir/other", ""},
		{"dir", "/dir", "/.", "", "cannot replace each other"},
		{"f/x", "/f", "/", "", "cannot replace each other"},
		{"dir->x", "/dir", "/", "", "cannot replace each other"},
	} {
		from, _ := newTree(t, "f", "dir/in")
		to, dir := newTree(t, c.there)
		_, err := copyTo(from, c.source, false, to, c.place)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, c)
			continue
		}
		require.NoError(t, err, c)
		require.Equal(t, c.want, list(t, dir), c)
	}
}

// TestLinksLeadNowhereOutside: a link of the tree, wherever it points, stays in the tree; and
// the same link followed by the host itself does lead out.
func TestLinksLeadNowhereOutside(t *testing.T) {
	_, outside := newTree(t, "secret")
	from, dir := newTree(t, "f", "out->"+outside, "up->../../../../../../.."+outside)
	for _, link := range []string{"out", "up"} {
		_, err := os.Stat(filepath.Join(dir, link, "secret"))
		require.NoError(t, err, "the host follows it out")
		_, err = from.Source("/"+link+"/secret", true)
		require.ErrorIs(t, err, unix.ENOENT)
		_, err = copyTo(from, "/f", false, from, "/"+link+"/new")
		require.ErrorIs(t, err, unix.ENOENT)
	}
	require.Equal(t, "secret=old secret", list(t, outside))
}

// TestUnpack: an archive reaches nothing outside of its directory.
func TestUnpack(t *testing.T) {
	_, outside := newTree(t, "secret")
	for _, headers := range [][]tar.Header{
		{{Name: "../evil"}},
		{{Name: "a/../../evil"}},
		{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "l/secret"}},
		{{Name: "there/secret"}},
		{{Name: "hard", Typeflag: tar.TypeLink, Linkname: "../../secret"}},
		{{Name: "hard", Typeflag: tar.TypeLink, Linkname: "there/secret"}},
	} {
		var data bytes.Buffer
		w := tar.NewWriter(&data)
		for _, h := range headers {
			h.Mode = 0o644
			require.NoError(t, w.WriteHeader(&h))
		}
		require.NoError(t, w.Close())
		to, _ := newTree(t, "there->"+outside)
		p, err := to.Place("/", nil)
		require.NoError(t, err)
		_, err = p.Unpack(&data, true)
		require.Error(t, err, headers)
		require.NoError(t, p.Close())
		require.Equal(t, "secret=old secret", list(t, outside), headers)
	}
}

// TestUnpackOnAFullDisk: the error says what could not be written.
func TestUnpackOnAFullDisk(t *testing.T) {
	to, dir := newTree(t)
	if err := unix.Mount("box-full", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("root may mount: ", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(root)
	to.Root = root
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "big", Mode: 0o644, Size: 1 << 20}))
	_, err = w.Write(make([]byte, 1<<20))
	require.NoError(t, errors.Join(err, w.Close()))
	p, err := to.Place("/", nil)
	require.NoError(t, err)
	_, err = p.Unpack(&data, true)
	require.ErrorContains(t, err, "write big: no space left on device")
	require.NoError(t, p.Close())
}

// TestAttributes: modes, times, names of one file and extended attributes come along, and the
// count is Docker's.
func TestAttributes(t *testing.T) {
	from, source := newTree(t, "dir/a")
	to, dir := newTree(t)
	require.NoError(t, os.Link(source+"/dir/a", source+"/dir/b"))
	require.NoError(t, unix.Chmod(source+"/dir/a", 0o4751))
	require.NoError(t, unix.Chmod(source+"/dir", 0o1700))
	hasXattr := unix.Setxattr(source+"/dir/a", "user.note", []byte("n"), 0) == nil
	for _, name := range []string{"/dir/a", "/dir"} {
		require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, source+name, []unix.Timespec{{Sec: 1, Nsec: 2}, {Sec: 3, Nsec: 4}}, 0))
	}
	bytes, err := copyTo(from, "/dir", false, to, "/")
	require.NoError(t, err)
	require.EqualValues(t, 3*512+512+1024, bytes)
	var a, b, d unix.Stat_t
	require.NoError(t, unix.Lstat(dir+"/dir/a", &a))
	require.NoError(t, unix.Lstat(dir+"/dir/b", &b))
	require.NoError(t, unix.Lstat(dir+"/dir", &d))
	require.Equal(t, a.Ino, b.Ino)
	require.Equal(t, []any{uint32(0o4751), uint32(0o1700), unix.Timespec{Sec: 3, Nsec: 4}, unix.Timespec{Sec: 3, Nsec: 4}}, []any{a.Mode & 0o7777, d.Mode & 0o7777, a.Mtim, d.Mtim})
	if hasXattr {
		value := make([]byte, 9)
		n, err := unix.Getxattr(dir+"/dir/a", "user.note", value)
		require.NoError(t, err)
		require.Equal(t, "n", string(value[:n]))
	}
}

// A shell makes an empty word of a variable that is not set: it is not the current directory.
func TestEmptyPaths(t *testing.T) {
	for _, o := range []crosscopy.Options{{From: "", To: "web:/"}, {From: "web:/", To: ""}} {
		_, err := o.Container()
		require.EqualError(t, err, "cp: a path is empty: . is the current directory")
	}
	_, err := crosscopy.Options{From: "file", To: "web"}.Container()
	require.EqualError(t, err, "cp: one of the two has to be CONTAINER:PATH, such as web:/etc")
}
