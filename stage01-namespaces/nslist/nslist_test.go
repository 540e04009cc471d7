package nslist

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestACommandLineCommandsNoTerminal(t *testing.T) {
	cmd := exec.Command("sh")
	cmd.Args = []string{"\x1b]0;title\a", "-c", "echo; read x", "é\n"}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = stdout.Read(make([]byte, 1)) // it is the shell by now, and not on its way to become it
	require.NoError(t, err)
	require.Equal(t, "?]0;title? -c echo; read x é?", Command(cmd.Process.Pid))
	require.NoError(t, stdin.Close())
	require.Error(t, cmd.Wait(), "read at the end of the input")
}

func TestSharingOfANamespace(t *testing.T) {
	require.Contains(t, Sharing(os.Getpid(), "pid"), os.Getpid())
	cmd := exec.Command("unshare", "-r", "sh", "-c", "echo; read x")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	if cmd.Start() != nil {
		t.Skip("unshare is not installed")
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // it is in its own by then
		t.Skip("no user namespaces here")
	}
	require.NotContains(t, Sharing(cmd.Process.Pid, "user"), os.Getpid())
	require.NoError(t, stdin.Close())
	cmd.Wait()
}

// A container's command may be thousands of bytes long, and would fill the screen.
func TestLinesFitTheTerminal(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	defer master.Close()
	fd := int(master.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 20}))
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	_, err = Write(terminal, []string{"mnt", "pid", "uts"})
	require.NoError(t, err)
	shown := make([]byte, 1<<12)
	n, err := master.Read(shown)
	require.NoError(t, err)
	heading, _, _ := strings.Cut(string(shown[:n]), "\r\n")
	require.Regexp(t, `^PROCESS +MNT +PID +UTS +COMMAND$`, heading, "the commands are not cut off")
	for line := range strings.Lines(string(shown[:n])) {
		require.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\r\n"))), (len(heading)+19)/20*20)
	}
	require.NoError(t, terminal.Close())
	require.Equal(t, "é—\nab…\n", fit("é—\nabcd\n", 3))
	require.Equal(t, "NS   COMMAND\n4027 sleep 10…\n", fit("NS   COMMAND\n4027 sleep 1000\n", 7), "two rows")
	require.Equal(t, "abcd\n", fit("abcd\n", 0), "in a pipe")
}
