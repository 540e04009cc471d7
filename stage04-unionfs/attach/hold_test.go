package attach_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/attach"
)

// The monitor waits until its caller has attached clients, whose error the caller gets.
func TestHold(t *testing.T) {
	failed, attached := errors.New("no client came"), false
	theirs, wait, err := attach.Hold(func() error { attached = true; return failed })
	require.NoError(t, err)
	monitor := monitorsEnd(t, theirs)
	require.NoError(t, attach.AwaitClients(monitor))
	require.True(t, attached)
	require.ErrorIs(t, wait(), failed)
	is, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", monitor.Fd()))
	require.NoError(t, err)
	require.Equal(t, os.DevNull, is)
}

// A monitor that fails before, and a caller that has died, keep nobody waiting.
func TestHoldWithoutTheOther(t *testing.T) {
	_, wait, err := attach.Hold(func() error { return errors.New("it was not to be called") })
	require.NoError(t, err)
	require.NoError(t, wait())

	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Close(ends[0]))
	monitor := os.NewFile(uintptr(ends[1]), "monitor")
	defer monitor.Close()
	require.NoError(t, attach.AwaitClients(monitor))
}

// monitorsEnd is the socket as another process has it.
func monitorsEnd(t *testing.T, socket *os.File) *os.File {
	fd, err := unix.Dup(int(socket.Fd()))
	require.NoError(t, err)
	file := os.NewFile(uintptr(fd), "monitor")
	t.Cleanup(func() { file.Close() })
	return file
}
