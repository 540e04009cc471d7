package unchanged

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/layer"
)

// Of the directories of a layer, those go that are empty and like the ones below but for their times;
// the times of the directory that they were in stay.
func TestDrop(t *testing.T) {
	below, build := t.TempDir(), t.TempDir()
	for _, name := range []string{"same/deep", "mode", "full"} {
		require.NoError(t, os.MkdirAll(filepath.Join(below, name), 0o755))
		require.NoError(t, os.MkdirAll(filepath.Join(build, name), 0o755))
	}
	require.NoError(t, os.Chmod(filepath.Join(build, "mode"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(build, "full/file"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(build, "new"), 0o755))
	then := time.Unix(1e9, 0)
	require.NoError(t, os.Chtimes(build, then, then))

	notes := build + layer.OwnersSuffix
	require.NoError(t, os.WriteFile(notes, nil, 0o600))
	require.NoError(t, Drop(build, []string{below}))
	require.DirExists(t, filepath.Join(build, "same"), "with notes on owners, nothing goes")
	require.NoError(t, os.Remove(notes))

	require.NoError(t, Drop(build, []string{below}))
	entries, err := os.ReadDir(build)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	require.Equal(t, []string{"full", "mode", "new"}, names)
	info, err := os.Stat(build)
	require.NoError(t, err)
	require.Equal(t, then, info.ModTime())
}
