package cgroupfs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	mountsV2 = "25 1 0:23 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountsV1 = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
		"36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
		"37 31 0:34 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
)

func TestTreesOfVersion2(t *testing.T) {
	list := parse(mountsV2, "0::/user.slice/session-1.scope\n")
	require.Equal(t, []Tree{{Mount: "/sys/fs/cgroup", V2: true, Place: "/user.slice/session-1.scope"}}, list)
}

func TestTreesOfVersion1AndHybrid(t *testing.T) {
	list := parse(mountsV1+"38 31 0:35 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
		"3:name=systemd:/\n2:cpu,cpuacct:/a b\n1:memory:/\n0::/x\n")
	require.Equal(t, []Tree{
		{Mount: "/sys/fs/cgroup/cpu,cpuacct", Controllers: []string{"cpu", "cpuacct"}, Place: "/a b"},
		{Mount: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}, Place: "/"},
		{Mount: "/sys/fs/cgroup/systemd", Controllers: []string{"name=systemd"}, Place: "/"},
		{Mount: "/sys/fs/cgroup/unified", V2: true, Place: "/x"},
	}, list)
}

// A container sees its own cgroup mounted as if it were the root.
func TestTreeMountedFromBelowTheRoot(t *testing.T) {
	list := parse("25 1 0:23 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/docker/abc/inner\n")
	require.Equal(t, "/inner", list[0].Place)
}

// The names that systemd makes have backslashes, which mountinfo escapes and /proc/PID/cgroup does not.
func TestTreeWithBackslashes(t *testing.T) {
	list := parse(`25 1 0:23 /machine.slice/machine-a\134x2db.scope /mnt/my\040groups rw - cgroup2 cgroup rw`+"\n",
		`0::/machine.slice/machine-a\x2db.scope/inner`+"\n")
	require.Equal(t, []Tree{{Mount: "/mnt/my groups", V2: true, Place: "/inner"}}, list)
}

// A group beside that of the mount may have a name that only begins like it.
func TestPlaceBesideTheMountsRoot(t *testing.T) {
	list := parse("25 1 0:23 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/docker/abcd\n")
	require.Equal(t, "/docker/abcd", list[0].Place)
}

// Without a tree of version 2 there is no directory to look in, and box's own is not one.
func TestPressureOfNoDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("cpu.pressure", []byte("some avg10=1.00 avg60=0.00 avg300=0.00 total=0\n"), 0o644))
	require.Empty(t, Pressure(""))
	require.Equal(t, "1.00", Pressure("."))
}

func TestNumbersOfAGroupAndBelow(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "below"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("12\n7\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "below/cgroup.procs"), []byte("9\n"), 0o644))
	require.ElementsMatch(t, []int{12, 7, 9}, Numbers(dir, "cgroup.procs"))
	require.Empty(t, Numbers(filepath.Join(dir, "gone"), "cgroup.procs"))
}

func TestChain(t *testing.T) {
	require.Equal(t, []string{"/a", "/a/b", "/a/b/c"}, Chain("/a", "/a/b/c"))
	require.Equal(t, []string{"/a"}, Chain("/a", "/a"))
}

// systemd-run is of no use where no systemd runs.
func TestHowToGetOne(t *testing.T) {
	require.Contains(t, HowToGetOne(t.TempDir()), "systemd-run --user")
	require.NotContains(t, HowToGetOne("/nowhere"), "systemd-run")
	require.Contains(t, HowToGetOne("/nowhere"), "chown -R it to yourself")
}

func TestHasBFQ(t *testing.T) {
	dir := t.TempDir()
	require.False(t, HasBFQ(dir))
	for device, list := range map[string]string{"loop0": "none\n", "sda": "[mq-deadline] kyber none\n"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, device, "queue"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, device, "queue/scheduler"), []byte(list), 0o644))
	}
	require.False(t, HasBFQ(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sda/queue/scheduler"), []byte("none mq-deadline [bfq]\n"), 0o644))
	require.True(t, HasBFQ(dir))
}
