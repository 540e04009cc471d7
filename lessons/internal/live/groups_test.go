package live

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const version2 = "5 1 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

const version1 = `5 1 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
6 1 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
7 1 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
8 1 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
9 1 0:30 / /mnt/again rw - cgroup cgroup rw,memory
`

// inGroup makes a machine with one box, in a group.
func inGroup(t *testing.T, mountinfo, cgroup string) *machine {
	m := made(t, mountinfo)
	m.process(10, 1, "sh", map[string]int{"pid": 20})
	m.file("proc/10/cgroup", cgroup)
	return m
}

func (m *machine) group(dir string, files map[string]string) {
	for name, text := range files {
		m.file("sys/fs/cgroup/"+dir+"/"+name, text)
	}
}

func ptr(n int64) *int64 { return &n }

func TestVersion2(t *testing.T) {
	m := inGroup(t, version2, "0::/system.slice/box\n")
	m.group("system.slice", map[string]string{"cgroup.procs": "", "memory.max": "100000\n", "pids.max": "max\n", "cpu.max": "max 100000\n"})
	m.group("system.slice/box", map[string]string{
		"cgroup.procs": "10\n", "memory.max": "200000\n", "memory.current": "4096\n", "memory.events": "low 0\noom_kill 3\n",
		"cpu.max": "50000 100000\n", "cpu.stat": "usage_usec 1234\nnr_throttled 5\n", "pids.max": "max\n", "pids.current": "2\n"})
	s := m.take()
	b := box(t, s, 10)
	require.Equal(t, Group{2, "/system.slice/box", true, &Limit{100000, "/system.slice"}, &Limit{0.5, ""}, nil, []string{}}, b.Group)
	require.Equal(t, Figures{Memory: ptr(4096), CPU: ptr(1234), PIDs: ptr(2), Throttled: ptr(5), Killed: ptr(3), Received: ptr(0), Sent: ptr(0)}, figures(s, b))
}

// figures of a box; the network's are the host's when it shares that.
func figures(s Snapshot, b Box) Figures {
	f := s.figures[b.ID]
	if f.Received == nil {
		f.Received, f.Sent = ptr(0), ptr(0)
	}
	return f
}

func TestVersion1(t *testing.T) {
	m := inGroup(t, version1, "9:name=systemd:/\n4:memory:/box\n2:cpu,cpuacct:/box\n8:pids:/box\n0::/\n")
	m.group("memory/box", map[string]string{"cgroup.procs": "10\n", "memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": "4096\n", "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"})
	m.group("cpu,cpuacct/box", map[string]string{"cgroup.procs": "10\n", "cpu.cfs_quota_us": "150000\n", "cpu.cfs_period_us": "100000\n", "cpuacct.usage": "5000000\n", "cpu.stat": "nr_periods 9\nnr_throttled 4\n"})
	m.group("pids/box", map[string]string{"cgroup.procs": "10\n", "pids.max": "64\n", "pids.current": "3\n"})
	s := m.take()
	b := box(t, s, 10)
	require.Equal(t, Group{1, "/box", true, nil, &Limit{1.5, ""}, &Limit{64, ""}, []string{}}, b.Group)
	require.Equal(t, Figures{Memory: ptr(4096), CPU: ptr(5000), PIDs: ptr(3), Throttled: ptr(4), Killed: ptr(1), Received: ptr(0), Sent: ptr(0)}, figures(s, b))
}

func TestAGroupThatOthersAreInTellsNothingOfTheBox(t *testing.T) {
	m := inGroup(t, version2, "0::/user\n")
	m.process(7, 1, "bash", nil)
	m.group("user", map[string]string{"cgroup.procs": "7\n10\n", "memory.current": "999\n", "memory.max": "5000\n"})
	s := m.take()
	b := box(t, s, 10)
	require.False(t, b.Group.Own)
	require.Equal(t, &Limit{5000, ""}, b.Group.Memory)
	require.Equal(t, []string{"memory", "cpu", "pids"}, b.Group.Counted)
	f := figures(s, b)
	require.Equal(t, int64(7)*pageSize, *f.Memory)
	require.Equal(t, int64(1_500_000), *f.CPU) // 150 ticks
	require.Equal(t, int64(3), *f.PIDs)
	require.Nil(t, f.Killed)
}

func TestAGroupOverAllProcessesOfABox(t *testing.T) {
	m := inGroup(t, version2, "0::/docker/x/init.scope\n")
	m.process(11, 10, "service", map[string]int{"pid": 20})
	m.file("proc/11/cgroup", "0::/docker/x/system.slice/a\n")
	m.process(12, 11, "nested", map[string]int{"pid": 90})
	m.group("docker/x", map[string]string{"cgroup.procs": "", "memory.current": "77\n"})
	m.group("docker/x/init.scope", map[string]string{"cgroup.procs": "10\n"})
	m.group("docker/x/system.slice/a", map[string]string{"cgroup.procs": "11\n12\n4242\n"}) // 4242 has just ended
	b := box(t, m.take(), 10)
	require.Equal(t, "/docker/x", b.Group.Path)
	require.True(t, b.Group.Own)
	require.Equal(t, []string{"cpu", "pids"}, b.Group.Counted) // no cpu.stat and no pids.current there
}

func TestTheRootIsNobodysOwn(t *testing.T) {
	m := inGroup(t, version2, "0::/\n")
	m.group("", map[string]string{"cgroup.procs": "10\n"})
	require.False(t, box(t, m.take(), 10).Group.Own)
}

func TestAGroupOutsideOfWhatIsMounted(t *testing.T) {
	for cgroup, mounted := range map[string]string{"0::/../other\n": "/", "0::/other\n": "/mine"} {
		m := inGroup(t, "5 1 0:30 "+mounted+" /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", cgroup)
		require.Zero(t, box(t, m.take(), 10).Group.Version, cgroup)
	}
	m := inGroup(t, "5 1 0:30 /mine /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/mine/box\n")
	m.group("box", map[string]string{"cgroup.procs": "10\n"})
	require.Equal(t, "/box", box(t, m.take(), 10).Group.Path)
}
