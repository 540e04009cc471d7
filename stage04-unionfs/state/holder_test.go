package state

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestKillHolder: of two processes that have a file open, only the one that holds the lock is killed,
// as if the other had got its number meanwhile.
func TestKillHolder(t *testing.T) {
	locked, err := TryLock(filepath.Join(t.TempDir(), "lock"), Exclusive)
	require.NoError(t, err)
	defer locked.Close()
	other, err := os.Open(locked.Name())
	require.NoError(t, err)
	defer other.Close()
	start := func(file *os.File) *exec.Cmd {
		cmd := exec.Command("sleep", "3600")
		cmd.Stdin = file
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd
	}
	holder, stranger := start(locked), start(other)
	require.Equal(t, os.ErrProcessDone, killHolder(stranger.Process.Pid, locked.Name()))
	require.NoError(t, KillHolders(locked.Name()))
	require.EqualError(t, holder.Wait(), "signal: killed")
	require.NoError(t, stranger.Process.Signal(unix.SIGTERM))
	require.EqualError(t, stranger.Wait(), "signal: terminated", "it was spared")
}
