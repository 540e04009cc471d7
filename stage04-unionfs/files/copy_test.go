package files_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// A copy is as find(1) sees its source, several names for one file included.
func TestTree(t *testing.T) {
	tools(t, "find")
	from, to := t.TempDir(), t.TempDir()
	sh(t, from, manyKinds)
	if os.Geteuid() == 0 {
		sh(t, from, special)
	}
	require.NoError(t, files.Tree(from, to, ""))
	require.Equal(t, listing(t, from), listing(t, to))
	one, err := os.Stat(filepath.Join(to, "d/file"))
	require.NoError(t, err)
	two, err := os.Stat(filepath.Join(to, "d/second"))
	require.NoError(t, err)
	require.True(t, os.SameFile(one, two))
}

// copyOf copies one file and returns the copy's path.
func copyOf(t *testing.T, file string, change func(c *files.Copier)) string {
	to := t.TempDir()
	c := files.NewCopier(openTree(t, to))
	change(c)
	fd, err := unix.Open(file, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	for _, name := range []string{"first", "second"} {
		require.NoError(t, c.File(fd, name, func(isDir bool) error { require.False(t, isDir); return nil }))
		c.Forget()
	}
	one, err := os.Stat(filepath.Join(to, "first"))
	require.NoError(t, err)
	two, err := os.Stat(filepath.Join(to, "second"))
	require.NoError(t, err)
	require.False(t, os.SameFile(one, two), "it was to be forgotten")
	return filepath.Join(to, "first")
}

func TestAttributesOfCopies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o640))
	require.NoError(t, os.Link(file, file+"2"))
	for _, name := range []string{"user.note", "user.overlay.opaque"} {
		if err := unix.Setxattr(file, name, []byte("y"), 0); err != nil {
			t.Skip("the file system has no user xattrs")
		}
	}
	attributes := func(path string) []string {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		defer unix.Close(fd)
		names, err := files.Xattrs(fd)
		require.NoError(t, err)
		for _, name := range names {
			value, err := files.Xattr(fd, name)
			require.NoError(t, err)
			require.Equal(t, "y", value)
		}
		return names
	}
	require.Equal(t, []string{"user.note"}, attributes(copyOf(t, file, func(c *files.Copier) {})))
	require.Empty(t, attributes(copyOf(t, file, func(c *files.Copier) { c.Bare = true })))
	require.ElementsMatch(t, []string{"user.note", "user.overlay.opaque"},
		attributes(copyOf(t, file, func(c *files.Copier) { c.Also = "user.overlay.opaque" })))
	changed := copyOf(t, file, func(c *files.Copier) {
		c.Change = func(st *unix.Stat_t) { st.Mode = st.Mode&^0o777 | 0o604 }
	})
	info, err := os.Stat(changed)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o604), info.Mode())
}

// Of a file with two names, both together count once; what is not a file does not count.
func TestSize(t *testing.T) {
	dir := t.TempDir()
	sh(t, dir, "mkdir a; head -c 1000 /dev/zero >a/file; ln a/file second; head -c 5 /dev/zero >a/small; ln -s a link")
	size, err := files.Size(dir)
	require.NoError(t, err)
	require.Equal(t, int64(1005), size)
}

func TestTarType(t *testing.T) {
	for mode, want := range map[uint32]byte{
		unix.S_IFREG | 0o644: '0', unix.S_IFLNK: '2', unix.S_IFCHR: '3', unix.S_IFBLK: '4', unix.S_IFDIR: '5', unix.S_IFIFO: '6',
	} {
		kind, ok := files.TarType(mode)
		require.True(t, ok)
		require.Equal(t, want, kind)
	}
	_, ok := files.TarType(unix.S_IFSOCK)
	require.False(t, ok)
}
