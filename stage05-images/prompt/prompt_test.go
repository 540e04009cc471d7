package prompt

import (
	"os"
	"testing"

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
	_, _, err := Login("me", false)
	require.ErrorContains(t, err, "login needs a terminal to ask for a password: add --password-stdin")
	_, _, err = Login("", true)
	require.ErrorContains(t, err, "add -u NAME")
	name, password, err := Login("me", true)
	require.NoError(t, err)
	require.Equal(t, []string{"me", "secret "}, []string{name, password})
}
