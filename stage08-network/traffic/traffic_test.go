package traffic

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestTraffic counts nothing of our own network, of a process that is not there, and of one whose
// network has loopback alone.
func TestTraffic(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cmd := exec.Command("unshare", "-r", "-n", "cat")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	for _, pid := range []int{os.Getpid(), 1 << 30, cmd.Process.Pid} {
		received, sent := Of(pid)
		require.Zero(t, received+sent, pid)
	}
	require.NoError(t, stdin.Close())
	cmd.Wait()
}
