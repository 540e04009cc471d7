package attach_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/attach"
)

// visit starts the test again as a box that is joined to the container whose hub listens in a directory.
func visit(t *testing.T, dir, kind string) *exec.Cmd {
	command := exec.Command("/proc/self/exe", "-test.run=^TestVisit")
	command.Env = append(os.Environ(), "ATTACH_TEST_VISIT="+kind, "ATTACH_TEST_DIR="+dir)
	t.Cleanup(func() {
		if command.ProcessState == nil {
			command.Process.Kill()
			command.Wait()
		}
	})
	return command
}

// runVisit is what the second process does; it ends with 7 if the keys were typed.
func runVisit(t *testing.T) {
	kind := os.Getenv("ATTACH_TEST_VISIT")
	if kind == "" {
		return
	}
	client := dial(t, os.Getenv("ATTACH_TEST_DIR"), "stdin", "stdout", "stderr")
	err := (&attach.Visit{
		Client: client, TTY: kind == "tty", Typed: true, Proxy: true, Keys: attach.Keys("\x10\x11"),
		Signal:    func(s unix.Signal) error { _, err := fmt.Fprintln(os.Stderr, s); return err },
		Unhandled: func(s unix.Signal) bool { return s == unix.SIGUSR2 },
	}).Show()
	var status plan.ExitStatus
	switch {
	case errors.Is(err, attach.ErrDetached):
		os.Exit(7)
	case errors.As(err, &status):
		os.Exit(int(status))
	}
	require.NoError(t, err)
	os.Exit(0)
}

// terminal makes a terminal of 30 rows.
func terminal(t *testing.T) (master, slave *os.File) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { master.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { slave.Close() })
	resize(t, master, 30)
	return master, slave
}

func resize(t *testing.T, terminal *os.File, rows uint16) {
	require.NoError(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: 99}))
}

func awaitRows(t *testing.T, terminal *os.File, rows uint16) {
	require.Eventually(t, func() bool {
		size, err := unix.IoctlGetWinsize(int(terminal.Fd()), unix.TIOCGWINSZ)
		return err == nil && size.Row == rows
	}, time.Minute, time.Millisecond)
}

func isRaw(t *testing.T, terminal *os.File) bool {
	modes, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return modes.Lflag&unix.ICANON == 0
}

// TestVisitOfATerminal: what is typed and the size go to the container's terminal, and the keys or a
// signal end the visit. The caller's terminal is raw meanwhile, and afterwards as it was.
func TestVisitOfATerminal(t *testing.T) {
	runVisit(t)
	for _, leave := range []struct {
		keys   string
		status int
	}{{"\x10\x11", 7}, {"", 128 + int(unix.SIGTERM)}} {
		hub, dir := listen(t)
		theirs, inside := terminal(t)
		resize(t, theirs, 1)
		hub.Input(theirs)
		user, slave := terminal(t)
		command := visit(t, dir, "tty")
		command.Stdin, command.Stdout, command.Stderr = slave, slave, slave
		command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		require.NoError(t, command.Start())
		awaitRows(t, inside, 30)
		_, err := hub.Output("stdout").Write([]byte("hello"))
		require.NoError(t, err)
		require.Equal(t, "hello", next(t, user))
		require.True(t, isRaw(t, slave))
		_, err = user.WriteString("typed\r")
		require.NoError(t, err)
		require.Equal(t, "typed\n", next(t, inside))
		resize(t, user, 31)
		awaitRows(t, inside, 31)
		if _, err = user.WriteString(leave.keys); leave.keys == "" {
			err = command.Process.Signal(unix.SIGTERM)
		}
		require.NoError(t, err)
		command.Wait()
		require.Equal(t, leave.status, command.ProcessState.ExitCode())
		require.False(t, isRaw(t, slave))
		require.NoError(t, hub.Close())
	}
}

// TestVisitWithoutATerminal: signals are passed on, but for one that the container would never get, which
// ends the visit; the keys are only bytes; and the visit ends with the container.
func TestVisitWithoutATerminal(t *testing.T) {
	runVisit(t)
	for _, ends := range []bool{false, true} {
		hub, dir := listen(t)
		read, write, err := os.Pipe()
		require.NoError(t, err)
		hub.Input(write)
		command := visit(t, dir, "pipe")
		typed, err := command.StdinPipe()
		require.NoError(t, err)
		stderr, err := command.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		_, err = typed.Write([]byte("a\x10\x11b"))
		require.NoError(t, err)
		require.Equal(t, "a\x10\x11b", next(t, read))
		said := make(chan string)
		go func() { line, _ := bufio.NewReader(stderr).ReadString('\n'); said <- line }()
		for line := ""; line == ""; { // Go ignores it until box asks for it
			require.NoError(t, command.Process.Signal(unix.SIGUSR1))
			select {
			case line = <-said:
				require.Equal(t, "user defined signal 1\n", line)
			case <-time.After(time.Millisecond):
			}
		}
		want := 128 + int(unix.SIGUSR2)
		if ends {
			require.NoError(t, hub.Close())
			want = 0
		} else {
			require.NoError(t, command.Process.Signal(unix.SIGUSR2))
		}
		command.Wait()
		require.Equal(t, want, command.ProcessState.ExitCode())
		if !ends {
			require.NoError(t, hub.Close())
		}
	}
}
