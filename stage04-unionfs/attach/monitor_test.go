package attach_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/attach"
)

// StartMonitor returns when the program has reported, and does not wait for its end.
func TestStartMonitor(t *testing.T) {
	monitor := exec.Command("/bin/sh", "-c", "printf ! >&3; exec 3>&-; read line")
	input, err := monitor.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, attach.StartMonitor(monitor))
	session, err := unix.Getsid(monitor.Process.Pid)
	require.NoError(t, err)
	require.Equal(t, monitor.Process.Pid, session)
	require.NoError(t, input.Close())
	require.Error(t, monitor.Wait(), "read met the end of its input")
}

func TestStartMonitorFails(t *testing.T) {
	require.Equal(t, plan.ExitStatus(3), attach.StartMonitor(exec.Command("/bin/sh", "-c", "exit 3")))
	require.EqualError(t, attach.StartMonitor(exec.Command("/bin/sh", "-c", "kill -KILL $$")), "the monitor of the container has died: signal: killed")
	require.ErrorContains(t, attach.StartMonitor(exec.Command("/no/such/program")), "the monitor of the container: ")
}
