package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

// TestMonitorKilledBetweenRuns: a monitor that waits to start its container again is killed. The
// container has then ended, and can be started, stopped and removed.
func TestMonitorKilledBetweenRuns(t *testing.T) {
	boxtest.Turn(t, 2, 3)
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

// TestBetweenRuns: what needs a process says that the container is restarting, and how that ends.
func TestBetweenRuns(t *testing.T) {
	boxtest.Turn(t, 3, 5)
	l := newLife(t)
	l.box("run", "-d", "--name", "again", "--restart", "always", "--rootfs", l.tiny, "false")
	for _, verb := range [][]string{{"attach", "again"}, {"exec", "again", "true"}, {"top", "again"}, {"pause", "again"}, {"kill", "-s", "HUP", "again"}, {"rm", "again"}, {"cp", "again:/etc", "-"}} {
		says := func() bool {
			out, err := l.command(verb...).CombinedOutput()
			return err != nil && strings.Contains(string(out), "box: container again is restarting and is not running now: wait until it runs, or end its restarts with box stop again\n")
		}
		require.Eventually(t, says, time.Minute, time.Millisecond, verb)
	}
	l.box("kill", "again") // as in Docker, no failure
	require.Equal(t, "1", l.box("wait", "again"))
	l.box("rm", "again")
}

// TestAttachBetweenRuns: attach ends with the run that it joined, or says that there is none, and the
// container is started again whatever it did.
func TestAttachBetweenRuns(t *testing.T) {
	boxtest.Turn(t, 0, 3)
	l := newLife(t)
	l.box("run", "-d", "-t", "--name", "again", "--restart", "always", "--rootfs", l.tiny, "sh", "-c", "sleep 0.02; echo ran; exit 3")
	count := func() string { return l.box("inspect", "-f", "{{.RestartCount}}", "again") }
	var joined int
	begin := time.Now()
	for joined < 3 && time.Since(begin) < time.Minute {
		out, err := l.command("attach", "again").CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		if exit.ExitCode() == 3 {
			joined++
			continue
		}
		require.Equal(t, 1, exit.ExitCode(), "%s", out)
		require.Contains(t, string(out), "is not running")
	}
	require.Equal(t, 3, joined)
	last := count()
	require.Eventually(t, func() bool { return count() != last }, time.Minute, 10*time.Millisecond)
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
