package state

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNote(t *testing.T) {
	dir, id := t.TempDir(), "0123456789abcdef"
	path := filepath.Join(dir, "made")
	temporary, done, err := Note(dir, id, path)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, ".0123456789ab"), temporary)
	_, err = TryLock(filepath.Join(dir, Unfinished+id), Exclusive)
	require.Equal(t, ErrBusy, err)

	note, err := os.Open(filepath.Join(dir, Unfinished+id))
	require.NoError(t, err)
	defer note.Close()
	left, beside, err := ReadNote(note)
	require.NoError(t, err)
	require.Equal(t, []string{path, temporary}, []string{left, beside})
	require.NoError(t, done())
	require.NoFileExists(t, note.Name())
}

// A note that was not written to the end, or by another program, is about no path.
func TestReadNoteOfNothing(t *testing.T) {
	for _, text := range []string{"", "relative", "."} {
		path := filepath.Join(t.TempDir(), Unfinished+"0123456789ab")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		note, err := os.Open(path)
		require.NoError(t, err)
		left, temporary, err := ReadNote(note)
		require.NoError(t, err)
		require.Equal(t, []string{"", ""}, []string{left, temporary}, text)
		require.NoError(t, note.Close())
	}
}
