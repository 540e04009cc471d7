package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage02-cgroups/units"
)

// Every limit that cannot be is refused in a sentence, and nothing is made.
func TestBadLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		flag, says string
	}{
		{"--memory=0.1", "less than a byte"},
		{"--memory=-5", "is not a size"},
		{"--memory=-1", "0 is no limit"},
		{"--memory=1m", "too small to start a process: the minimum is 6m"},
		{"--memory=99999999999999g", "more than any machine"},
		{"--memory-swap=64m", "--memory-swap needs --memory"},
		{"--cpus=0.001", "the minimum is 0.01"},
		{"--cpus=4096", "this host has"},
		{"--cpu-shares=1", "a weight from 2 to 262144"},
		{"--cpuset-cpus=4096", "this host has no CPU 4096"},
		{"--cpuset-cpus=one", "is not a list of CPUs"},
		{"--cpuset-mems=4096", "this host has no memory node 4096"},
		{"--cpuset-mems=one", "is not a list of memory nodes"},
		{"--cpu-period=999", "from 1000 to 1000000"},
		{"--cpu-quota=999", "at least 1000"},
		{"--blkio-weight=9", "a weight from 10 to 1000"},
		{"--memory-swappiness=101", "from 0 to 100"},
		{"--pids-limit=-2", "or -1 for any number"},
		{"--pids-limit=99999999999999999999", "or -1 for any number"},
		{"--device-read-bps=/dev/null:1m", "is not a block device"},
		{"--device-read-bps=/no/such/dev:1m", "no such file or directory"},
		{"--device-write-bps=" + file, "is not a device and a rate"},
		{"--cgroup-parent=/no/such/group", "make it first: mkdir"},
		{"--cgroup-parent=../../../tmp", "make it first: mkdir"},
		{"--oom-score-adj=5000", "from -1000 to 1000"},
	} {
		t.Run(c.flag, func(t *testing.T) {
			cmd := exec.Command(box, "run", c.flag, "/bin/true")
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			require.Equal(t, 125, cmd.ProcessState.ExitCode())
			require.Regexp(t, "^box: ", string(out))
			require.Contains(t, string(out), c.says)
			left, err := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/*/box-%d-*", cmd.ProcessState.Pid()))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// TestCgroupsThatCannotBeWritten hides the trees, or makes them read-only, for one run.
func TestCgroupsThatCannotBeWritten(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount: run this as root")
	}
	for _, change := range []string{
		`awk '$9 ~ /^cgroup/ {print $5}' /proc/self/mountinfo | while read -r dir; do mount -o remount,bind,ro "$dir"; done`,
		`mount -t tmpfs none /sys/fs/cgroup`,
	} {
		cmd := exec.Command("unshare", "-m", "sh", "-c", change+`; exec "$0" run -m 64m /bin/true`, box)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, change)
		require.Equal(t, 125, cmd.ProcessState.ExitCode())
		require.Regexp(t, "^box: --memory: no cgroup tree that box can write to has the memory controller", string(out))
	}
}

// As in Docker, any amount of swap can be asked for without a limit of memory.
func TestAnySwapNeedsNoMemory(t *testing.T) {
	limits := Limits{Limits: units.Limits{MemorySwap: -1}}
	require.NoError(t, limits.Complete())
	require.Equal(t, []setting{{"--memory-swap", "memory",
		file{"memory.swap.max", "max"}, file{"memory.memsw.limit_in_bytes", "-1"}}}, limits.settings())
}
