package cgroupfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestBelow(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"box-1/box-2", "other/box-3", "other/else"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "box-file"), nil, 0o600))
	isBox := func(name string) bool { return strings.HasPrefix(name, "box-") }
	require.Equal(t, []string{filepath.Join(dir, "box-1"), filepath.Join(dir, "other/box-3")}, Below(dir, isBox))
	require.Empty(t, Below(filepath.Join(dir, "none"), isBox))
}

// Groups are removed with those below them, as far as no process is in one.
func TestRemove(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "group")
	require.NoError(t, Remove(dir))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "c"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "c/busy"), nil, 0o600))
	require.ErrorIs(t, Remove(dir), unix.ENOTEMPTY)
	require.NoDirExists(t, filepath.Join(dir, "a"))
	require.NoError(t, os.Remove(filepath.Join(dir, "c/busy")))
	require.NoError(t, Remove(dir))
	require.NoDirExists(t, dir)
}

// Nothing is written to a file that is not one of a cgroup, and a missing one is no error.
func TestThawWritesToCgroupsOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "freeze")
	require.NoError(t, Thaw(file))
	require.NoError(t, os.WriteFile(file, []byte("1"), 0o600))
	require.NoError(t, Thaw(file))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "1", string(text))
}
