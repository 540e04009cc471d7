package sources

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage06-dockerfile/dockerfile"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestBelow: what .dockerignore leaves out is not there, and what it takes back is.
func TestBelow(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/one", "a/b/two", "a/b/kept", "skip/three", "skip/kept"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	ignore, err := dockerfile.ParseIgnore(".dockerignore", []byte("skip\n**/two\n!**/kept\n"))
	require.NoError(t, err)
	u, err := union.Open([]string{dir})
	require.NoError(t, err)
	defer u.Close()
	s := Search{From: u, Ignore: ignore}
	for start, want := range map[string][]string{
		".": {"a", "a/b", "a/b/kept", "a/one", "skip", "skip/kept"},
		"a": {"a/b", "a/b/kept", "a/one"},
	} {
		n, err := u.Find(start, false)
		require.NoError(t, err)
		var names []string
		require.NoError(t, s.Below(n, start, s.Filter(File{Node: n}), func(n *union.Node, rel string) error {
			names = append(names, rel)
			return nil
		}))
		require.Equal(t, want, names)
	}
}

// tree makes empty files, and links where a name has an arrow.
func tree(t *testing.T, names ...string) (root *union.FS, dir string) {
	dir = t.TempDir()
	for _, name := range names {
		name, target, isLink := strings.Cut(name, " -> ")
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if isLink {
			require.NoError(t, os.Symlink(target, path))
		} else {
			require.NoError(t, os.WriteFile(path, nil, 0o644))
		}
	}
	return opened(t, dir), dir
}

func ignore(t *testing.T, lines string) *dockerfile.Ignore {
	list, err := dockerfile.ParseIgnore(".dockerignore", []byte(lines))
	require.NoError(t, err)
	return list
}

// TestFind: what a source names, each as pivot:name, and =path where that is another.
func TestFind(t *testing.T) {
	u, _ := tree(t, "a/one", "a/two", "a/b/one", "b/one", "skip/one", "skip/kept", "hidden", "to-a -> a", "to-skip -> skip/one", "gone -> a", "broken -> nowhere")
	for _, c := range []struct {
		parents      bool
		source, want string
	}{
		{false, "a/one", ".:a/one"},
		{false, "/", ".:."},
		{false, "./a/../b//one", ".:b/one"},
		{false, "a/*", ".:a/b .:a/one .:a/two"},
		{false, "*/one", ".:a/one .:b/one .:to-a/one=a/one"},
		{false, "to-a/one", ".:to-a/one=a/one"},
		{false, "to-*", ".:to-a=a"},
		{false, "brok*", ".:broken"},
		{false, "skip", ".:skip"},
		{false, "none*", ""},
		{false, "hid*", ""},
		{false, "gon*", ""},
		{false, "*/none", ""},
		{false, "**/one", ".:a/one .:b/one .:to-a/one=a/one"},
		{false, "a/one/*", ""},
		{false, "none", "there is no such file in the context"},
		{false, "none/*", "there is no such file in the context"},
		{false, "broken", "there is no such file in the context"},
		{false, "to-skip", "the file is in the context, but .dockerignore leaves it out"},
		{false, "gone", "there is no such file in the context"},
		{false, "a/one/x", "there is no such file in the context"},
		{false, "hidden", "the file is in the context, but .dockerignore leaves it out"},
		{false, "[", "\"[\" is not a pattern: syntax error in pattern"},
		{true, "a/one", ".:a/one"},
		{true, "to-a", ".:to-a"},
		{true, "to-*", ".:to-a .:to-skip"},
		{true, "to-a/one", "there is no such file in the context"},
		{true, "a/./b/one", "a:b/one=a/b/one"},
		{true, "./?/./one", "a:one=a/one b:one=b/one"},
		{true, "**/one", ".:a/one .:a/b/one .:b/one"},
		{true, "**/b", ".:b .:a/b"},
		{true, "a/**", ".:a/b .:a/one .:a/two"},
		{true, "a/**/*", ".:a/b .:a/one .:a/two"},
		{true, "none*/./one", ""},
		{true, "none/./one", "there is no such file in the context"},
		{true, "a/one/./x", "a/one is not a directory in the context; links are not followed"},
		{true, "/", "--parents keeps the directories of a name, and there is none: copy without it"},
	} {
		s := Search{From: u, Where: "the context", Ignore: ignore(t, "gone\nhidden\nskip\n!skip/kept\n"), Parents: c.parents}
		dirs, err := s.Find(c.source)
		var found []string
		for _, dir := range dirs {
			for _, f := range dir.Files {
				name := dir.Pivot.Path() + ":" + f.At
				if filepath.Join(dir.Pivot.Path(), f.At) != f.Path() || dir.Pivot.Path() != "." {
					name += "=" + f.Path()
				}
				found = append(found, name)
			}
		}
		got := strings.Join(found, " ")
		if err != nil {
			got = err.Error()
		}
		require.Equal(t, c.want, got, "%v %s", c.parents, c.source)
	}
}

// TestFilter: --exclude names files in the directory that was found, and with --parents in the pivot.
func TestFilter(t *testing.T) {
	u, _ := tree(t, "a/x", "a/b/x", "a/b/y", "a/hidden", "x")
	for _, c := range []struct {
		parents               bool
		source, exclude, want string
	}{
		{false, "a", "none", "a/b a/b/x a/b/y a/x"},
		{false, "a", "x", "a/b a/b/x a/b/y"},
		{false, "a", "b", "a/x"},
		{false, "a", "b/x", "a/b a/b/y a/x"},
		{false, "/", "a/b", "a a/x x"},
		{true, "a", "x", "a/b a/b/x a/b/y a/x"},
		{true, "a", "a/b/x", "a/b a/b/y a/x"},
		{true, "a/./b", "b/x", "a/b/y"},
	} {
		exclude, err := patternmatcher.New([]string{c.exclude})
		require.NoError(t, err)
		s := Search{From: u, Ignore: ignore(t, "a/hidden\n"), Exclude: exclude, Parents: c.parents}
		dirs, err := s.Find(c.source)
		require.NoError(t, err)
		f := dirs[0].Files[0]
		var names []string
		require.NoError(t, s.Below(f.Node, f.Path(), s.Filter(f), func(_ *union.Node, rel string) error {
			names = append(names, rel)
			return nil
		}))
		require.Equal(t, c.want, strings.Join(names, " "), "%v %s without %s", c.parents, c.source, c.exclude)
	}
	excludes, err := (&Search{}).Excludes("x")
	require.NoError(t, err)
	require.False(t, excludes)
}

// TestFoundFilesStayOpen: a directory that was found can be read after a walk through the one around it.
func TestFoundFilesStayOpen(t *testing.T) {
	u, _ := tree(t, "a/b/one", "a/c/one")
	s := Search{From: u}
	dirs, err := s.Find("a/b")
	require.NoError(t, err)
	around, err := u.Find("a", false)
	require.NoError(t, err)
	other, err := u.Find("a/c", false)
	require.NoError(t, err)
	require.NoError(t, s.EachWanted(around, "a", s.keep, func(*union.Node, string) error { return nil }))
	found, err := dirs[0].Files[0].Children()
	require.NoError(t, err)
	require.Len(t, found, 1)
	_, err = other.Children()
	require.Error(t, err, "the control: another directory is closed")
}

// TestAsIs: a copy is needed for what .dockerignore leaves out, other owners and other kinds of files.
func TestAsIs(t *testing.T) {
	is := func(u *union.FS, lines string) bool {
		asIs, err := AsIs(u.Root(), ignore(t, lines))
		require.NoError(t, err)
		return asIs
	}
	u, dir := tree(t, "a/b/one", "link -> a")
	require.True(t, is(u, ""))
	require.True(t, is(u, "none\n"))
	require.False(t, is(u, "a/b/one\n"))
	if os.Geteuid() == 0 {
		for _, owner := range [][2]int{{1, 0}, {0, 1}} {
			require.NoError(t, os.Lchown(filepath.Join(dir, "a/b/one"), owner[0], owner[1]))
			require.False(t, is(opened(t, dir), ""))
		}
		require.NoError(t, os.Lchown(filepath.Join(dir, "a/b/one"), 0, 0))
	}
	require.True(t, is(opened(t, dir), ""))
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "a/b/fifo"), 0o600))
	require.False(t, is(opened(t, dir), ""))
}

func opened(t *testing.T, dir string) *union.FS {
	u, err := union.Open([]string{dir})
	require.NoError(t, err)
	t.Cleanup(u.Close)
	return u
}
