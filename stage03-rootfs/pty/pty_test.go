package pty_test

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage03-rootfs/pty"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// newPair makes a terminal, and sends its master as a container does.
func newPair(t *testing.T) (ends [2]int32, slave *os.File) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(master)
	require.NoError(t, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return send(t, unix.UnixRights(master)), slave
}

// send returns the ends of a socket pair, with a message in it.
func send(t *testing.T, rights []byte) [2]int32 {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Sendmsg(fds[1], []byte("t"), rights, nil, 0))
	return [2]int32{int32(fds[0]), int32(fds[1])}
}

func TestOutput(t *testing.T) {
	ends, slave := newPair(t)
	master, err := pty.Receive(ends)
	require.NoError(t, err)
	defer master.Close()
	shown, output, err := os.Pipe()
	require.NoError(t, err)
	defer shown.Close()
	end, err := pty.Terminal{Output: output}.Serve(master)
	require.NoError(t, err)
	_, err = slave.WriteString("the last words")
	require.NoError(t, err)
	end() // the slave is still open
	require.NoError(t, slave.Close())
	require.NoError(t, output.Close())
	text, err := io.ReadAll(shown)
	require.NoError(t, err)
	require.Equal(t, "the last words", string(text))
}

func TestNobodyReads(t *testing.T) {
	ends, slave := newPair(t)
	master, err := pty.Receive(ends)
	require.NoError(t, err)
	defer master.Close()
	shown, output, err := os.Pipe()
	require.NoError(t, err)
	defer output.Close()
	require.NoError(t, shown.Close())
	broken := make(chan struct{})
	end, err := pty.Terminal{Output: output, Broken: broken}.Serve(master)
	require.NoError(t, err)
	_, err = slave.WriteString("to nobody")
	require.NoError(t, err)
	<-broken
	require.NoError(t, slave.Close())
	end()
}

func TestNoTerminalComes(t *testing.T) {
	_, err := pty.Receive(send(t, nil))
	require.ErrorContains(t, err, "the container sent no terminal")
}
