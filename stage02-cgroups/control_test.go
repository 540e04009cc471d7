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

	"stagebox/stage02-cgroups/cgroupfs"
)

// An update that the kernel refuses must not leave a container with less of a limit than it had.
func TestAnUpdateThatFailsLiftsNoLimit(t *testing.T) {
	all, err := cgroupfs.Trees(os.Getpid())
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(t cgroupfs.Tree) bool { return slices.Contains(t.Controllers, "memory") })
	if i < 0 || os.Geteuid() != 0 || cgroupfs.Number(all[i].Mount+"/memory.memsw.limit_in_bytes") < 0 || hasSwap() {
		t.Skip("needs root, and a memory controller of version 1 that counts swap, on a host without any")
	}
	cmd := exec.Command(box, "run", "-m", "64m", "--memory-swap", "80m", "sh", "-c", "{ head -c 30000000 /dev/zero; sleep 1000; } | tail -c 30000000")
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	require.NoError(t, cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Signal(unix.SIGTERM)
	dir := filepath.Join(all[i].Mount, "box-"+strconv.Itoa(cmd.Process.Pid))
	require.Eventually(t, func() bool { return cgroupfs.Number(dir+"/memory.usage_in_bytes") > 30000000 }, time.Minute, 5*time.Millisecond)
	pid := cgroupfs.Words(dir + "/cgroup.procs")[0]
	_, stderr, status := run(t, "update", "-m", "8m", "--memory-swap", "8m", pid)
	require.Equal(t, 125, status, stderr)
	require.EqualValues(t, 80<<20, cgroupfs.Number(dir+"/memory.memsw.limit_in_bytes"))
	_, stderr, status = run(t, "update", "-m", "96m", "--memory-swap", "96m", pid)
	require.Zero(t, status, stderr)
	require.EqualValues(t, 96<<20, cgroupfs.Number(dir+"/memory.limit_in_bytes"))
}

// What a killed box has left is removed by the next one, unless that shall only tell. The
// test has a parent of its own, where nobody else's box tidies up.
func TestADryRunRemovesNoGroup(t *testing.T) {
	all, err := cgroupfs.Trees(os.Getpid())
	require.NoError(t, err)
	if len(all) == 0 || os.Geteuid() != 0 {
		t.Skip("needs root, and a tree of cgroups")
	}
	parent := "box-test-" + strconv.Itoa(os.Getpid())
	for _, tree := range all {
		dir := filepath.Join(tree.Mount, parent)
		require.NoError(t, os.Mkdir(dir, 0o755))
		defer removeGroup(dir)
	}
	at := slices.IndexFunc(all, func(t cgroupfs.Tree) bool { return placeIn(t, parent, nil) != "" })
	left := filepath.Join(all[at].Mount, parent, "box-4194399") // there is no process of such a number
	require.NoError(t, os.Mkdir(left, 0o755))
	_, stderr, status := run(t, "run", "--cgroup-parent", parent, "--dry-run", "true")
	require.Zero(t, status, stderr)
	require.DirExists(t, left)
	_, stderr, status = run(t, "run", "--cgroup-parent", parent, "true")
	require.Zero(t, status, stderr)
	require.NoDirExists(t, left)
}
