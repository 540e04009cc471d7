package live

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothingButTheHost(t *testing.T) {
	m := made(t, "")
	m.process(7, 1, "bash", nil)
	s := m.take()
	require.Empty(t, s.Boxes)
	require.Equal(t, 2, s.Host.Processes)
	require.Equal(t, 2, s.Host.Cores)
	require.Equal(t, int64(1<<20), s.Host.Memory)
	require.Len(t, s.Host.Namespaces, len(kinds))
	require.Contains(t, s.Unseen[len(s.Unseen)-1], "No control groups are mounted")
}

func TestBoxesAndWhatTheyShare(t *testing.T) {
	m := made(t, "")
	first := map[string]int{"mnt": 20, "pid": 21, "net": 22}
	m.process(10, 1, "web serve", first)
	m.process(11, 10, "worker", first)
	m.process(12, 11, "child", first)
	m.process(13, 10, "worker2", first)
	m.process(30, 1, "side car", map[string]int{"mnt": 40, "pid": 41, "net": 22})
	s := m.take()
	require.Len(t, s.Boxes, 2)
	web, side := box(t, s, 10), box(t, s, 30)
	require.Equal(t, Namespace{Kind: "net", Inode: 22, With: []string{side.ID}}, web.namespace("net"))
	require.Equal(t, []string{web.ID}, side.namespace("net").With)
	require.True(t, web.namespace("user").Host)
	require.Empty(t, web.namespace("mnt").With)
	require.Equal(t, "process 10 of the host is 1 inside", web.namespace("pid").Note)
	require.Equal(t, []Process{{10, 1, "1000", "web serve", 0}, {11, 1, "1000", "worker", 1}, {12, 1, "1000", "child", 2}, {13, 1, "1000", "worker2", 1}}, web.Processes)
	require.Equal(t, Walls{14, "filter", true}, web.Walls)
	require.Equal(t, 1, s.Host.Processes)
}

func TestTheOldestProcessIsTheFirst(t *testing.T) {
	m := made(t, "")
	own := map[string]int{"pid": 21}
	m.process(500, 1, "init", own)
	m.process(20, 500, "sleep", own) // numbers have started over
	m.file("proc/20/stat", "20 (sleep) S 500 0 0 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 900 0 1 0")
	require.Equal(t, "init", box(t, m.take(), 500).Command)
}

func TestABoxIsTheSameAsLongAsItExists(t *testing.T) {
	m := made(t, "")
	m.process(10, 1, "sh", map[string]int{"pid": 21})
	before := m.take()
	m.process(11, 10, "sleep", map[string]int{"pid": 21})
	after := m.take()
	require.Equal(t, before.Boxes[0].ID, after.Boxes[0].ID)
	require.NotEqual(t, before.Boxes[0].Processes, after.Boxes[0].Processes)
}

func TestABoxInABox(t *testing.T) {
	m := made(t, "")
	m.process(10, 1, "outer", map[string]int{"pid": 21})
	m.process(11, 10, "inner", map[string]int{"pid": 31})
	s := m.take()
	require.Equal(t, box(t, s, 10).ID, box(t, s, 11).Inside)
	require.Empty(t, box(t, s, 10).Inside)
}

func TestKernelThreadsAreNoBoxes(t *testing.T) {
	m := made(t, "")
	m.process(25, 2, "", map[string]int{"mnt": 20})
	m.status(25, "Name:\tkdevtmpfs\nPPid:\t2\n")
	require.Empty(t, m.take().Boxes)
}

func TestManyProcessesAreCut(t *testing.T) {
	m := made(t, "")
	for pid := 100; pid < 150; pid++ {
		m.process(pid, 1, "sh", map[string]int{"pid": 21})
	}
	b := box(t, m.take(), 100)
	require.Len(t, b.Processes, listed)
	require.Equal(t, 10, b.Unlisted)
}

func TestUsersAndClocks(t *testing.T) {
	m := made(t, "")
	m.process(10, 1, "sh", map[string]int{"user": 20, "time": 21})
	m.file("proc/10/uid_map", "         0       1000          1\n         1     100000      65536\n")
	m.file("proc/10/timens_offsets", "monotonic        3600         0\nboottime            0         0\n")
	b := box(t, m.take(), 10)
	require.Equal(t, "user 0 inside is 1000; user 1 inside is 100000, and so on for 65536 users", b.namespace("user").Note)
	require.Equal(t, "monotonic clock 3600 s off the host's", b.namespace("time").Note)
}

func TestOldKernelsHaveNoTimeNamespace(t *testing.T) {
	m := made(t, "")
	m.process(10, 1, "sh", map[string]int{"pid": 20})
	for _, pid := range []string{"1", "10"} {
		m.remove("proc/" + pid + "/ns/time")
	}
	require.Len(t, box(t, m.take(), 10).Namespaces, len(kinds)-1)
}

func TestWhenProcess1IsNotSeenOursStandForTheHosts(t *testing.T) {
	m := made(t, "")
	m.process(50, 1, "lessons serve", map[string]int{"net": 77})
	m.process(51, 1, "sh", map[string]int{"net": 77})
	m.remove("proc/1/ns")
	m.link("proc/self", "50")
	s := m.take()
	require.Empty(t, s.Boxes)
	require.Equal(t, uint64(77), s.Networks[0].Inode)
	require.Contains(t, s.Unseen, "Process 1 does not show its namespaces: those of the program that serves this page stand for the host's.")
}

// TestHostileNames gives what a container may choose: its command line and its mounts.
func TestHostileNames(t *testing.T) {
	m := made(t, "")
	m.process(10, 1, "x", map[string]int{"pid": 20})
	m.file("proc/10/cmdline", "\xff\x00<script>\x00"+string(make([]byte, 5000))+"end")
	m.file("proc/10/mountinfo", "1 2\n - \n3 2 0:1 / / rw - \n4 2 0:2 /\\777\\04 / rw - overlay o rw,lowerdir=,upperdir=\\,lowerdir+=\n")
	m.file("proc/10/net/dev", ":\nx: 1 2\n")
	m.file("proc/10/net/route", "a b\neth0 zz 00 0 0 0 0 00000000\n")
	m.file("proc/10/net/fib_trie", "/32 host LOCAL\n|-- no\n/32 host LOCAL\n")
	m.file("proc/10/net/if_inet6", "zz 1 1 1 1 lo\n00 1 1 1 1 lo\n")
	m.file("proc/10/cgroup", "x\n0::\n1:a:b\n")
	b := box(t, m.take(), 10)
	require.Equal(t, "overlay", b.Root.Kind)
	require.LessOrEqual(t, len([]rune(b.Command)), 161)
	require.Contains(t, b.Command, "�")
}

func TestWhatIsKnownIsReadAgainNowAndThen(t *testing.T) {
	m := made(t, "")
	m.process(10, 1, "sh", nil)
	_, known := take(m.roots(), nil)
	for range 3 * settled {
		_, known = take(m.roots(), known)
	}
	m.remove("proc/10/ns")
	m.process(10, 1, "unshare", map[string]int{"mnt": 20})
	m.process(11, 1, "new", map[string]int{"mnt": 30})
	s, known := take(m.roots(), known)
	require.Equal(t, "new", box(t, s, 11).Command)
	for range settled {
		s, known = take(m.roots(), known)
	}
	require.Equal(t, "unshare", box(t, s, 10).Command)
	m.remove("proc/10")
	s, known = take(m.roots(), known)
	require.Len(t, s.Boxes, 1)
	require.NotContains(t, known, 10)
}
