package attach_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/attach"
	"stagebox/stage04-unionfs/state"
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

// TestRestartMonitor has a process replace itself: it is the same process, and holds the same lock.
func TestRestartMonitor(t *testing.T) {
	const life = "ATTACH_TEST_LIFE"
	switch os.Getenv(life) {
	case "first":
		require.NoError(t, os.Setenv(life, fmt.Sprint(os.Getpid())))
		require.NoError(t, attach.RestartMonitor(os.NewFile(3, "lock"), 4))
	case "":
		path := filepath.Join(t.TempDir(), "lock")
		lock, err := state.LockNew(path)
		require.NoError(t, err)
		_, err = lock.WriteString("137\n")
		require.NoError(t, err)
		ready, report, err := os.Pipe()
		require.NoError(t, err)
		monitor := exec.Command("/proc/self/exe", "-test.run=^TestRestartMonitor$", "-test.v")
		monitor.Env, monitor.ExtraFiles = append(os.Environ(), life+"=first"), []*os.File{lock, report}
		input, err := monitor.StdinPipe()
		require.NoError(t, err)
		var out bytes.Buffer
		monitor.Stdout, monitor.Stderr = &out, &out
		require.NoError(t, monitor.Start())
		require.NoError(t, errors.Join(lock.Close(), report.Close()))
		_, err = ready.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err, "the second life does not report there")
		require.True(t, state.Held(path))
		require.NoError(t, input.Close())
		require.NoError(t, monitor.Wait(), out.String())
		require.Contains(t, out.String(), "--- PASS: TestRestartMonitor")
		require.False(t, state.Held(path))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "0\n", string(text))
	default:
		require.Equal(t, os.Getenv(life), fmt.Sprint(os.Getpid()))
		target, err := os.Readlink("/proc/self/fd/4")
		require.NoError(t, err)
		require.Equal(t, os.DevNull, target)
		_, err = os.Stdin.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err, "the caller has seen that the lock is held")
		_, err = os.NewFile(3, "lock").WriteString("0\n")
		require.NoError(t, err)
	}
}
