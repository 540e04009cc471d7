package state_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/state"
)

// TestWhatAnotherBoxHasDropped holds that there is nothing left to do, and no error, once the one that
// holds the lock has removed what an earlier boot has left, and that nothing is dropped beside it.
func TestWhatAnotherBoxHasDropped(t *testing.T) {
	dir := t.TempDir()
	left, lock := filepath.Join(dir, "left"), filepath.Join(dir, "lock")
	require.NoError(t, os.Symlink("another-boot", left+".unsynced"))
	other, err := state.TryLock(lock, state.Exclusive)
	require.NoError(t, err)
	dropped := make(chan string, 1)
	drop := func(path string) error { dropped <- path; return nil }
	over := make(chan error)
	go func() { over <- state.DropUnsynced(dir, lock, drop) }()
	require.NoError(t, state.Unmark(left))
	require.NoError(t, <-over)
	require.Empty(t, dropped)

	require.NoError(t, other.Close())
	require.NoError(t, os.Symlink("another-boot", left+".unsynced"))
	require.NoError(t, state.DropUnsynced(dir, lock, drop))
	require.Equal(t, left, <-dropped)
	require.NoFileExists(t, left+".unsynced")
}
