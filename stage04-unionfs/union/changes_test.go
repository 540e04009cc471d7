package union_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
)

// A whiteout, an opaque directory, a new file, and a file with the same content and another mode.
func TestChanges(t *testing.T) {
	below, upper := t.TempDir(), t.TempDir()
	write := func(dir, name string) {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte("x"), 0o644))
	}
	for _, name := range []string{"gone", "again/old", "kept/mode", "untouched/file"} {
		write(below, name)
	}
	write(upper, "again/new")
	require.NoError(t, unix.Setxattr(filepath.Join(upper, "again"), union.OpaqueMark(), []byte("y"), 0))
	write(upper, "kept/mode")
	require.NoError(t, os.Chmod(filepath.Join(upper, "kept/mode"), 0o600))
	want := []string{"C /again", "A /again/new", "D /again/old", "C /kept", "C /kept/mode"}
	if unix.Mknod(filepath.Join(upper, "gone"), unix.S_IFCHR, 0) == nil { // not every user may
		want = slices.Insert(want, 3, "D /gone")
	}
	u, err := union.Open([]string{below})
	require.NoError(t, err)
	defer u.Close()
	list, err := u.Changes(upper)
	require.NoError(t, err)
	var text []string
	for _, c := range list {
		text = append(text, fmt.Sprintf("%c %s", c.Kind, c.Path))
	}
	require.Equal(t, want, text)
}

func TestMakeMountPoints(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mountpoints")
	for range 2 {
		require.NoError(t, union.MakeMountPoints(dir))
	}
	info, err := os.Stat(filepath.Join(dir, "etc/hosts"))
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
	require.NoError(t, os.Remove(filepath.Join(dir, "etc/hosts")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "etc/hosts"), 0o755))
	require.ErrorContains(t, union.MakeMountPoints(dir), "unexpected type of file")
}
