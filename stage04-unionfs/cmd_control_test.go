package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/state"
)

// A container that ends during an update has its new limits from the next start on, like one that does
// not run. The monitor has reaped its process and waits for the record, as update does.
func TestUpdateOfAContainerThatEnds(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("limits need root")
	}
	l := newLife(t)
	l.box("run", "-d", "--name", "ends", "--rootfs", l.tiny, "sleep", l.mark)
	r, err := Store{Root: l.store}.find("ends")
	require.NoError(t, err)
	file := filepath.Join(l.store, "containers", r.ID, "lock")
	held, err := state.Lock(context.Background(), file, state.Exclusive)
	require.NoError(t, err)
	require.NoError(t, unix.Kill(r.State.PID, unix.SIGKILL))
	require.Eventually(t, func() bool { return hasEnded(r.State.PID) }, time.Minute, time.Millisecond)
	update := l.command("update", "--pids-limit", "10", "ends")
	update.Stderr = os.Stderr
	require.NoError(t, update.Start())
	require.Eventually(t, func() bool { // it has found the container running
		open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", update.Process.Pid))
		for _, fd := range open {
			if target, _ := os.Readlink(fd); target == file {
				return true
			}
		}
		return false
	}, time.Minute, time.Millisecond)
	require.NoError(t, held.Close())
	require.NoError(t, update.Wait())
	require.Equal(t, "10", l.box("inspect", "-f", "{{.HostConfig.PidsLimit}}", "ends"))
}
