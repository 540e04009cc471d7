package thread

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The root that Root opens is the one that the thread has, and not this process's.
func TestRoot(t *testing.T) {
	tid, dir := 0, t.TempDir()
	root, end, err := Root(func() error {
		tid = unix.Gettid()
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		return unix.Chroot(dir)
	})
	if errors.Is(err, unix.EPERM) {
		t.Skip("only root may change a thread's root")
	}
	require.NoError(t, err)
	var want, got unix.Stat_t
	require.NoError(t, unix.Stat(dir, &want))
	require.NoError(t, unix.Fstat(root, &got))
	require.Equal(t, want.Ino, got.Ino)
	end()
	require.NoDirExists(t, fmt.Sprintf("/proc/self/task/%d", tid))
}

// A thread that cannot enter has ended when Root returns.
func TestRootFails(t *testing.T) {
	tid := 0
	_, _, err := Root(func() error { tid = unix.Gettid(); return unix.ENOSPC })
	require.ErrorIs(t, err, unix.ENOSPC)
	require.NoDirExists(t, fmt.Sprintf("/proc/self/task/%d", tid))
}
