package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

// Three containers that each end only when all have been asked to.
func TestStopSideBySide(t *testing.T) {
	boxtest.Turn(t, 1, 3)
	l := newLife(t)
	names := []string{"xx", "yy", "zz"}
	for _, name := range names {
		script := "trap 'touch /all/" + name + "; while ! [ -e /all/xx -a -e /all/yy -a -e /all/zz ]; do sleep 0.02; done; exit 7' TERM; echo ready; while :; do sleep 0.02; done"
		l.box("run", "-d", "--name", name, "-v", "all:/all", "--rootfs", l.tiny, "sh", "-c", script)
		l.awaitReady(name)
	}
	require.Equal(t, "xx\nyy\nzz", l.box("stop", "-t", "100", "xx", "yy", "zz"))
	require.Equal(t, "7\n7\n7", l.box("wait", "xx", "yy", "zz"))
	require.Equal(t, "xx\nyy\nzz", l.box("rm", "xx", "yy", "zz"))
}

// A container whose id begins with the number of a process comes before the process, and a number
// without a container is that of a process.
func TestAnIDOfDigits(t *testing.T) {
	l := newLife(t)
	id := l.box("create", "--name", "digits", "--rootfs", l.tiny, "true")
	pid := fmt.Sprint(os.Getpid())
	digits := pid + strings.Repeat("0", len(id)-len(pid))
	dir := filepath.Join(l.store, "containers")
	require.NoError(t, os.Rename(filepath.Join(dir, id), filepath.Join(dir, digits)))
	record := filepath.Join(dir, digits, "container.json")
	require.NoError(t, os.WriteFile(record, []byte(strings.ReplaceAll(contentOf(t, record), id, digits)), 0o600))
	require.NoError(t, os.Remove(filepath.Join(dir, "digits")))
	require.NoError(t, os.Symlink(digits, filepath.Join(dir, "digits")))
	for _, verb := range [][]string{{"exec", pid, "true"}, {"pause", pid}, {"stats", "--no-stream", pid}} {
		out, err := l.command(verb...).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "container digits is not running", verb)
	}
	l.box("update", pid, "--cpu-shares", "512") // it is for the next start
	require.Equal(t, "512", l.box("inspect", "-f", "{{.HostConfig.CpuShares}}", "digits"))
	l.box("rm", "digits")
	out, err := l.command("exec", pid, "true").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "process "+pid+" is in no other namespace than ours")
}

// A container that was made and not started is not taken for the rest of a run that was killed,
// not even when box is killed while it starts it.
func TestCreatedIsKept(t *testing.T) {
	boxtest.Turn(t, 4, 5)
	l := newLife(t)
	id := l.box("create", "--name", "kept", "--rootfs", l.tiny, "true")
	for range 2 {
		require.NoError(t, os.WriteFile(filepath.Join(l.store, "running", id), nil, 0o600)) // of a box that has died
		require.Contains(t, l.box("ps", "-a"), "Created")
	}
	require.Equal(t, "kept", l.box("start", "kept"))
	require.Equal(t, "0", l.box("wait", "kept"))
	l.nothingLeft(nil)
}

// The seconds of --stop-timeout are those of a stop without -t: with 0, it is not even asked.
func TestStopTimeout(t *testing.T) {
	boxtest.Turn(t, 1, 5)
	l := newLife(t)
	for _, c := range []struct{ flags, status string }{{"", "137"}, {"-t 100", "3"}} {
		l.box("run", "-d", "--name", "deaf", "--stop-timeout", "0", "--rootfs", l.tiny, "sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.02; done")
		l.awaitReady("deaf")
		l.box(append([]string{"stop", "deaf"}, strings.Fields(c.flags)...)...)
		require.Equal(t, c.status, l.box("wait", "deaf"))
		l.box("rm", "deaf")
	}
}

// awaitReady waits until a container has printed a line.
func (l *life) awaitReady(name string) {
	require.Eventually(l, func() bool { return l.box("logs", name) == "ready" }, time.Minute, 10*time.Millisecond)
}

// TestStatusOfARunThatIsOver: who watches for the end of a run gets its status, also when box has let
// go of the container by the time it is asked for.
func TestStatusOfARunThatIsOver(t *testing.T) {
	l := newLife(t)
	id := l.box("run", "-d", "--rootfs", l.tiny, "sh", "-c", `trap "exit 7" TERM; echo ready; while :; do sleep 0.01; done`)
	l.awaitReady(id)
	s := Store{Root: l.store}
	r, err := s.find(id)
	require.NoError(t, err)
	wait, err := r.watchEnd()
	require.NoError(t, err)
	l.box("stop", id)
	require.Equal(t, "7", l.box("wait", id))
	status, err := wait()
	require.NoError(t, err)
	require.Equal(t, 7, status)
}
