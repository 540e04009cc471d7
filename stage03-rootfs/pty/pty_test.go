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

// TestSizes: who started box learns that the container's terminal has the size, once it has it.
func TestSizes(t *testing.T) {
	outer, caller := newPair(t) // the caller's terminal, which is to be standard output
	terminal, err := pty.Receive(outer)
	require.NoError(t, err)
	defer terminal.Close()
	stdout, err := unix.Dup(1)
	require.NoError(t, err)
	require.NoError(t, unix.Dup2(int(caller.Fd()), 1))
	defer func() { unix.Dup2(stdout, 1); unix.Close(stdout) }()
	var pipe [2]int
	require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	said := os.NewFile(uintptr(pipe[0]), "said")
	defer said.Close()
	t.Setenv(pty.SizesVariable, fmt.Sprint(pipe[1])) // it is box's to close
	ends, slave := newPair(t)
	master, err := pty.Receive(ends)
	require.NoError(t, err)
	end, err := pty.Terminal{Output: caller}.Serve(master)
	require.NoError(t, err)
	for row := uint16(0); row < 50; row++ {
		size := &unix.Winsize{Row: row, Col: 100}
		require.NoError(t, unix.IoctlSetWinsize(int(caller.Fd()), unix.TIOCSWINSZ, size))
		require.NoError(t, unix.Kill(os.Getpid(), unix.SIGWINCH)) // it is not this process's own terminal
		for has := (unix.Winsize{}); has != *size; {
			_, err := fmt.Fscanln(said, &has.Row, &has.Col)
			require.NoError(t, err)
		}
		inside, err := unix.IoctlGetWinsize(int(slave.Fd()), unix.TIOCGWINSZ)
		require.NoError(t, err)
		require.Equal(t, size, inside)
	}
	require.NoError(t, slave.Close())
	end()
}
