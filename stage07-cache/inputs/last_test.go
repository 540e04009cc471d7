package inputs

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slot.json")
	_, err := ReadLast(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for _, key := range []string{"1", "2"} {
		last := Last{key, []Input{{"instruction", "RUN " + key}}}
		require.NoError(t, last.Write(path))
		got, err := ReadLast(path)
		require.NoError(t, err)
		require.Equal(t, last, got)
	}
	before, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, Last{Key: "2"}.Write(path))
	after, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "the same key is not written again")
	require.NoError(t, Last{Key: "22"}.Write(path))
	got, err := ReadLast(path)
	require.NoError(t, err)
	require.Equal(t, "22", got.Key)
}
