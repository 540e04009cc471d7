package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMonitorKilledBetweenRuns: a monitor that waits to start its container again is killed. The
// container has then ended, and can be started, stopped and removed.
func TestMonitorKilledBetweenRuns(t *testing.T) {
	l := newLife(t)
	id := l.box("run", "-d", "--restart", "always", "--rootfs", l.tiny, "false")
	s := Store{Root: l.store}
	waits := func() bool {
		r, err := s.read(id)
		return err == nil && r.State.Status == "restarting" && r.State.RestartCount > 3
	}
	require.Eventually(t, waits, time.Minute, time.Millisecond)
	require.NoError(t, unix.Kill(monitorOf(t, id), unix.SIGKILL))
	require.Contains(t, []string{"1", "137"}, l.box("wait", id))
	require.Equal(t, "exited false", l.box("inspect", "-f", "{{.State.Status}} {{.State.Running}}", id))
	l.box("start", id)
	l.box("stop", id)
	l.box("rm", id)
	left, err := os.ReadDir(filepath.Join(l.store, "running"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestUpdateOfAPolicy: the policy that counts is the one at the end of the run.
func TestUpdateOfAPolicy(t *testing.T) {
	l := newLife(t)
	id := l.box("run", "-d", "--restart", "always", "--rootfs", l.tiny, "sleep", l.mark)
	require.Equal(t, "always", l.box("inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", id))
	l.box("update", "--restart", "no", id)
	pid, err := strconv.Atoi(l.box("inspect", "-f", "{{.State.Pid}}", id))
	require.NoError(t, err)
	require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	require.Equal(t, "137", l.box("wait", id))
	require.Equal(t, "0 no", l.box("inspect", "-f", "{{.RestartCount}} {{.HostConfig.RestartPolicy.Name}}", id))
}

// monitorOf finds the process that holds a container.
func monitorOf(t *testing.T, id string) int {
	for _, pid := range processes(t, id) {
		line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
		if strings.Contains(string(line), "--monitor") {
			n, err := strconv.Atoi(pid)
			require.NoError(t, err)
			return n
		}
	}
	t.Fatal("no monitor of " + id)
	return 0
}
