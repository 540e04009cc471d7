package capability

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestStatusOf(t *testing.T) {
	s, err := StatusOf(os.Getpid())
	require.NoError(t, err)
	for i := range Count {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(i), 0, 0, 0)
		require.NoError(t, err)
		require.Equal(t, has == 1, s.Bounding&(1<<i) != 0, Name(i))
	}
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	require.NoError(t, err)
	require.Equal(t, mode == 2, s.Filtered)
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	require.NoError(t, err)
	require.Equal(t, set == 1, s.NoNewPrivs)

	gone := exec.Command("true")
	require.NoError(t, gone.Run())
	_, err = StatusOf(gone.Process.Pid)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// What the kernel lists in /proc, it also grants; in a new user namespace that is everything.
func TestKnown(t *testing.T) {
	own, err := StatusOf(os.Getpid())
	require.NoError(t, err)
	require.Equal(t, own.Bounding, Known(0))
	last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	require.NoError(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(last)))
	require.NoError(t, err)
	require.Equal(t, Set(1)<<min(n+1, Count)-1, Known(unix.CLONE_NEWUSER))
}
