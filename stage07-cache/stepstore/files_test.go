package stepstore

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPruneFiles(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"slots/old", "slots/new", "mounts/old", "steps/old"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("12345"), 0o644))
		if filepath.Base(name) == "old" {
			require.NoError(t, os.Chtimes(path, old, old))
		}
	}
	size := func(path string) int64 { return 5 }
	freed, err := PruneFiles(dir, time.Minute, size, os.Remove)
	require.NoError(t, err)
	require.EqualValues(t, 10, freed)
	left, err := filepath.Glob(filepath.Join(dir, "*/*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "slots/new"), filepath.Join(dir, "steps/old")}, left)
}
