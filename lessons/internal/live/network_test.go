package live

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// sys is a mountinfo line of a process with a sysfs of its own network namespace.
const sys = "9 1 0:60 / /sys ro - sysfs none rw\n"

// interfaces writes /proc/PID/net/dev: name, bytes received, bytes sent.
func (m *machine) interfaces(pid int, links ...link) {
	text := "Inter-|   Receive\n face |bytes\n"
	for _, l := range links {
		text += fmt.Sprintf("%6s: %d 1 0 0 0 0 0 0 %d 1 0 0 0 0 0 0\n", l.name, l.received, l.sent)
	}
	m.file(fmt.Sprintf("proc/%d/net/dev", pid), text)
}

type link struct {
	name           string
	received, sent int
}

// sysfs gives an interface its number and its peer's.
func (m *machine) sysfs(root, name string, index, peer int) {
	m.file(root+"/class/net/"+name+"/ifindex", fmt.Sprintln(index))
	m.file(root+"/class/net/"+name+"/iflink", fmt.Sprintln(peer))
}

func (m *machine) networkOf(s Snapshot, inode uint64) Network {
	for _, n := range s.Networks {
		if n.Inode == inode {
			return n
		}
	}
	require.Failf(m.t, "no such network", "%d in %+v", inode, s.Networks)
	return Network{}
}

// bridged is a host with a bridge and two cables in it, whose other ends are in two boxes
// where both are number 2.
func bridged(t *testing.T) *machine {
	m := made(t, "")
	m.interfaces(1, link{"lo", 5, 5}, link{"br0", 0, 0}, link{"vethA", 10, 20}, link{"vethB", 30, 40})
	m.sysfs("sys", "lo", 1, 1)
	m.sysfs("sys", "br0", 4, 4)
	m.file("sys/class/net/br0/bridge/ageing_time", "1")
	for name, index := range map[string]int{"vethA": 6, "vethB": 8} {
		m.sysfs("sys", name, index, 2)
		m.link("sys/class/net/"+name+"/master", "../br0")
	}
	m.file("sys/class/net/bonding_masters", "")
	m.process(10, 1, "a", map[string]int{"net": 20})
	m.process(11, 1, "b", map[string]int{"net": 21})
	m.interfaces(10, link{"lo", 7, 7}, link{"eth0", 20, 10})
	m.interfaces(11, link{"lo", 7, 7}, link{"eth0", 40, 30})
	return m
}

var joined = []Cable{
	{A: End{5, "vethA"}, B: End{20, "eth0"}},
	{A: End{5, "vethB"}, B: End{21, "eth0"}},
}

func TestBridgeAndCablesWithSysfsInside(t *testing.T) {
	m := bridged(t)
	for pid, peer := range map[int]int{10: 6, 11: 8} {
		m.file(fmt.Sprintf("proc/%d/mountinfo", pid), sys)
		m.sysfs(fmt.Sprintf("proc/%d/root/sys", pid), "lo", 1, 1)
		m.sysfs(fmt.Sprintf("proc/%d/root/sys", pid), "eth0", 2, peer)
	}
	s := m.take()
	require.Equal(t, joined, s.Cables)
	host := s.Networks[0]
	require.True(t, host.Host)
	require.Equal(t, Interface{Name: "br0", Kind: "bridge", Index: 4, Addresses: []string{}}, host.Interfaces[0])
	require.Equal(t, "br0", host.Interfaces[2].Bridge)
	require.Equal(t, "loopback", host.Interfaces[1].Kind)
	require.Equal(t, ptr(20), s.figures[box(t, s, 10).ID].Received)
	require.Equal(t, ptr(10), s.figures[box(t, s, 10).ID].Sent)
}

func TestCablesAreJoinedByWhatWentOverThem(t *testing.T) {
	m := bridged(t) // no sysfs inside, and the same number twice
	for _, pid := range []int{10, 11} {
		m.file(fmt.Sprintf("proc/%d/net/dev_mcast", pid), "2    eth0            1     0     01005e000001\n")
	}
	require.Equal(t, joined, m.take().Cables)
}

func TestCablesThatCannotBeToldApartAreOpen(t *testing.T) {
	m := bridged(t)
	m.interfaces(1, link{"lo", 5, 5}, link{"br0", 0, 0}, link{"vethA", 0, 0}, link{"vethB", 0, 0})
	for _, pid := range []int{10, 11} {
		m.interfaces(pid, link{"lo", 0, 0}, link{"eth0", 0, 0})
	}
	require.Equal(t, []Cable{{A: End{5, "vethA"}, Open: true}, {A: End{5, "vethB"}, Open: true}}, m.take().Cables)
}

func TestASysfsThatShowsAnotherNetworkIsNotBelieved(t *testing.T) {
	m := bridged(t)
	m.file("proc/10/mountinfo", sys)
	for i, name := range []string{"lo", "br0", "vethA", "vethB"} { // the host's, bound into the box
		m.sysfs("proc/10/root/sys", name, i+1, i+1)
	}
	require.Zero(t, m.networkOf(m.take(), 20).Interfaces[0].Index)
}

func TestASysfsThatIsNoneIsNotLookedAt(t *testing.T) {
	for name, mountinfo := range map[string]string{
		"none mounted": "",
		"covered":      sys + "10 9 0:61 / /sys rw - tmpfs x rw\n",
		"in part":      sys + "10 9 0:61 / /sys/class/net rw - tmpfs x rw\n",
	} {
		m := bridged(t)
		m.file("proc/10/mountinfo", mountinfo)
		m.sysfs("proc/10/root/sys", "lo", 1, 1)
		m.sysfs("proc/10/root/sys", "eth0", 2, 6)
		require.Zero(t, m.networkOf(m.take(), 20).Interfaces[0].Index, name)
	}
}

const routes = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100C90A	0003	0	0	0	00000000	0	0	0
eth0	0000C90A	00000000	0001	0	0	0	0000FFFF	0	0	0
eth1	0000A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
`

const trie = `Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.201.0.0
        /16 link UNICAST
     |-- 10.201.0.2
        /32 host LOCAL
     |-- 192.168.0.9
        /32 host LOCAL
     |-- 172.16.0.1
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 127.255.255.255
        /32 link BROADCAST
`

func TestAddresses(t *testing.T) {
	m := made(t, "")
	m.process(10, 1, "a", map[string]int{"net": 20})
	m.interfaces(10, link{"lo", 0, 0}, link{"eth0", 0, 0}, link{"eth1", 0, 0})
	m.file("proc/10/net/route", routes)
	m.file("proc/10/net/fib_trie", trie+trie)
	m.file("proc/10/net/if_inet6", "fe8000000000000000420afffec90002 02 40 20 80     eth0\n")
	m.file("proc/10/net/tcp", "  sl  local_address rem_address   st\n   0: 00000000:1F90 00000000:0000 0A x\n   1: 0100007F:1F91 0100007F:0001 01 x\n")
	m.file("proc/10/net/tcp6", "  sl\n   0: 00000000000000000000000000000000:1F90 0:0000 0A x\n")
	m.file("proc/10/net/sockstat", "sockets: used 1\nTCP: inuse 2 orphan 0 tw 0\n")
	m.file("proc/10/net/sockstat6", "TCP6: inuse 1\n")
	n := m.networkOf(m.take(), 20)
	require.Equal(t, []Interface{
		{Name: "eth0", Index: 2, Addresses: []string{"10.201.0.2/16", "fe80::42:aff:fec9:2/64"}},
		{Name: "eth1", Addresses: []string{"192.168.0.9/24"}},
		{Name: "lo", Kind: "loopback", Addresses: []string{"127.0.0.1/8"}},
	}, n.Interfaces)
	require.Equal(t, []string{"172.16.0.1"}, n.Elsewhere)
	require.Equal(t, []string{"10.201.0.1 by eth0"}, n.Gateways)
	require.Equal(t, []string{"8080"}, n.Listening)
}

func TestNetworksWithoutAProcess(t *testing.T) {
	m := made(t, "20 1 0:4 net:[99] /run/netns/blue rw - nsfs nsfs rw\n21 1 0:4 net:[99] /run/netns/blue rw - nsfs nsfs rw\n22 1 0:4 mnt:[98] /run/x rw - nsfs nsfs rw\n23 1 0:4 net:[20] /run/y rw - nsfs nsfs rw\n")
	m.process(10, 1, "a", map[string]int{"net": 20})
	s := m.take()
	require.Len(t, s.Networks, 3)
	require.Equal(t, "/run/netns/blue", s.Networks[2].HeldBy)
	require.Equal(t, uint64(99), s.Networks[2].Inode)
}

func TestListeningIsAskedForOnlyWhereThereAreSockets(t *testing.T) {
	m := made(t, "")
	m.process(10, 1, "a", map[string]int{"net": 20})
	m.file("proc/10/net/tcp", "  sl\n   0: 00000000:1F90 00000000:0000 0A x\n")
	m.file("proc/10/net/sockstat", "TCP: inuse 0 orphan 0\n")
	require.Empty(t, m.networkOf(m.take(), 20).Listening)
}
