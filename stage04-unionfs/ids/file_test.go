package ids_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/ids"
)

func TestFileForAnID(t *testing.T) {
	require.NoError(t, ids.CheckFile(""))
	require.NoError(t, ids.WriteFile("", "x"))
	file := filepath.Join(t.TempDir(), "id")
	require.NoError(t, ids.CheckFile(file))
	require.NoError(t, ids.WriteFile(file, "abc"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "abc", string(text))
	require.EqualError(t, ids.CheckFile(file), "--cidfile "+file+": the file exists; remove it, or give another name")
	require.Error(t, ids.CheckFile(filepath.Join(file, "below")))
}
