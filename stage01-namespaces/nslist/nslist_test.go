package nslist

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
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
