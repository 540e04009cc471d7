package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "4096": 4096, "512b": 512, "64m": 64 << 20, "64M": 64 << 20, "64mb": 64 << 20, "64MiB": 64 << 20,
		"1.5g": 3 << 29, "1k": 1024, "2t": 2 << 40, ".5k": 512, "-1": -1,
	} {
		n, err := parseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, n, text)
	}
	for text, says := range map[string]string{
		"": "is not a size", "m": "is not a size", "64x": "is not a size", "64 m": "is not a size", "-64m": "is not a size",
		"1e3": "is not a size", "0x10": "is not a size", "1.2.3m": "is not a size", "64mm": "is not a size", "64bb": "is not a size",
		"nan": "is not a size", "inf": "is not a size", "6４m": "is not a size",
		"0": "lets nothing run", "0.1b": "lets nothing run", "99999999p": "more than any machine",
	} {
		_, err := parseBytes(text)
		require.ErrorContains(t, err, says, text)
	}
}

func TestParseCPUs(t *testing.T) {
	var c cpus
	for text, want := range map[string]cpus{"1": 100000, "0.5": 50000, "1.25": 125000, "0.01": 1000} {
		require.NoError(t, c.UnmarshalText([]byte(text)))
		require.Equal(t, want, c, text)
	}
	for _, text := range []string{"", "0", "-1", "0.001", "NaN", "Inf", "1e2", "0x1p4", "half", "99999999999"} {
		require.Error(t, c.UnmarshalText([]byte(text)), text)
	}
}

func TestParseCPUList(t *testing.T) {
	list, err := parseCPUList("0-2,4")
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 4}, list)
	for _, text := range []string{"", "a", "1-", "-1", "2-1", "1,,2", "99999"} {
		_, err := parseCPUList(text)
		require.Error(t, err, text)
	}
}

// FuzzParseBytes: whatever is accepted is a size, and written out as bytes is the same size.
func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"64m", "1.5g", "-1", "0", "1kib", "9e9", "٣m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseBytes(s)
		if err != nil {
			require.Contains(t, err.Error(), strconv.Quote(s))
			return
		}
		require.True(t, n > 0 || n == -1, "%q became %d", s, n)
		again, err := parseBytes(fmt.Sprint(n))
		require.NoError(t, err)
		require.Equal(t, n, again)
	})
}

// FuzzParseCPUs: whatever is accepted is a quota that the kernel takes, 1 ms or more a period.
func FuzzParseCPUs(f *testing.F) {
	for _, s := range []string{"1", "0.5", "0.01", "-0", "1e9", "infinity"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var c cpus
		if c.UnmarshalText([]byte(s)) == nil {
			require.GreaterOrEqual(t, int64(c), int64(1000))
		}
	})
}

// Every limit that cannot be is refused in a sentence, and nothing is made.
func TestBadLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		flag, says string
	}{
		{"--memory=0", "lets nothing run"},
		{"--memory=-5", "is not a size"},
		{"--memory=-1", "leave them out for no limit"},
		{"--memory=1m", "too little to start a process in: the least is 6m"},
		{"--memory=99999999999999g", "more than any machine"},
		{"--memory-swap=64m", "--memory-swap needs --memory"},
		{"--cpus=0", "the least is 0.01"},
		{"--cpus=4096", "this host has"},
		{"--cpu-shares=1", "a weight from 2 to 262144"},
		{"--cpu-shares=0", "a weight from 2 to 262144"},
		{"--cpuset-cpus=4096", "this host has no CPU 4096"},
		{"--cpuset-cpus=one", "is not a list of CPUs"},
		{"--pids-limit=-2", "or -1 for any number"},
		{"--pids-limit=0", "or -1 for any number"},
		{"--pids-limit=99999999999999999999", "or -1 for any number"},
		{"--device-read-bps=/dev/null:1m", "is not a block device"},
		{"--device-read-bps=/no/such/dev:1m", "no such file or directory"},
		{"--device-write-bps=" + file, "is not a device and a rate"},
		{"--cgroup-parent=/no/such/group", "make it first: mkdir"},
		{"--cgroup-parent=../../../tmp", "make it first: mkdir"},
		{"--oom-score-adj=5000", "from -1000 to 1000"},
	} {
		t.Run(c.flag, func(t *testing.T) {
			cmd := exec.Command(box, "run", c.flag, "true")
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			require.Equal(t, 125, cmd.ProcessState.ExitCode())
			require.Regexp(t, "^box: ", string(out))
			require.Contains(t, string(out), c.says)
			left, err := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/*/box-%d", cmd.ProcessState.Pid()))
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
		cmd := exec.Command("unshare", "-m", "sh", "-c", change+`; exec "$0" run -m 64m true`, box)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, change)
		require.Equal(t, 125, cmd.ProcessState.ExitCode())
		require.Regexp(t, "^box: --memory: no cgroup tree that box can write to has the memory controller", string(out))
	}
}
