package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An update that the kernel refuses must not leave a container with less of a limit than it had.
func TestAnUpdateThatFailsLiftsNoLimit(t *testing.T) {
	all, err := trees()
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(t tree) bool { return slices.Contains(t.controllers, "memory") })
	if i < 0 || os.Geteuid() != 0 || number(all[i].mount+"/memory.memsw.limit_in_bytes") < 0 || hasSwap() {
		t.Skip("needs root, and a memory controller of version 1 that counts swap, on a host without any")
	}
	cmd := exec.Command(box, "run", "-m", "64m", "--memory-swap", "80m", "sh", "-c", "{ head -c 30000000 /dev/zero; sleep 100; } | tail -c 30000000")
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	require.NoError(t, cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Signal(unix.SIGTERM)
	dir := filepath.Join(all[i].mount, "box-"+strconv.Itoa(cmd.Process.Pid))
	require.Eventually(t, func() bool { return number(dir+"/memory.usage_in_bytes") > 30000000 }, 20*time.Second, 5*time.Millisecond)
	pid := words(dir + "/cgroup.procs")[0]
	_, stderr, status := run(t, "update", "-m", "8m", "--memory-swap", "8m", pid)
	require.Equal(t, 125, status, stderr)
	require.EqualValues(t, 80<<20, number(dir+"/memory.memsw.limit_in_bytes"))
	_, stderr, status = run(t, "update", "-m", "96m", "--memory-swap", "96m", pid)
	require.Zero(t, status, stderr)
	require.EqualValues(t, 96<<20, number(dir+"/memory.limit_in_bytes"))
}
