package prompt

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// stdin makes a text the standard input of this process, as long as the test runs.
func stdin(t *testing.T, text string) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	_, err = write.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, write.Close())
	was, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Dup2(int(read.Fd()), 0))
	require.NoError(t, read.Close())
	t.Cleanup(func() { require.NoError(t, unix.Dup2(was, 0)); unix.Close(was) })
}

// With --password-stdin there is nowhere to ask for the name: a password is not taken for it.
func TestLogin(t *testing.T) {
	stdin(t, "secret \r\n")
	_, _, err := Login(context.Background(), "me", false)
	require.ErrorContains(t, err, "login needs a terminal to ask for a password: add --password-stdin")
	_, _, err = Login(context.Background(), "", true)
	require.ErrorContains(t, err, "add -u NAME")
	name, password, err := Login(context.Background(), "me", true)
	require.NoError(t, err)
	require.Equal(t, []string{"me", "secret "}, []string{name, password})
}

// TestInterrupted: Ctrl-C ends the wait for a name and for a password, and the terminal echoes again.
func TestInterrupted(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, master.Close()) })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	defer terminal.Close()
	stdin(t, "")
	require.NoError(t, unix.Dup2(int(terminal.Fd()), 0))
	echoes := func() bool {
		settings, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		require.NoError(t, err)
		return settings.Lflag&unix.ECHO != 0
	}
	for name, silent := range map[string]bool{"": false, "me": true} {
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error, 1)
		go func() {
			_, _, err := Login(ctx, name, false)
			result <- err
		}()
		require.Eventually(t, func() bool { return echoes() != silent }, time.Minute, time.Millisecond)
		cancel()
		require.EqualError(t, <-result, "the login was interrupted")
		require.True(t, echoes())
	}
}
