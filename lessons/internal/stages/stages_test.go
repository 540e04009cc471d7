package stages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAllRefusesAGap(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"stage01-a", "stage03-c"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	_, err := All(root)
	require.ErrorContains(t, err, "stage03-c: expected stage02 here")
}

func TestAllPassesOverOtherNames(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"stage01-a", "stage02-b", "lessons", "stage2-x"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	all, err := All(root)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "lessons/02-b.md", all[1].Lesson())
	_, err = Get(root, 3)
	require.ErrorContains(t, err, "there is no stage 3: the stages are 1 to 2")
}

func TestRootIsFoundFromBelow(t *testing.T) {
	root, err := Root()
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(root, "go.mod"))
}
