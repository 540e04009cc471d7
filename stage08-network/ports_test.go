package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage08-network/dns"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/proxy"
	"stagebox/stage08-network/rtnl"
)

func TestAPortInUseIsToldWithItsUser(t *testing.T) {
	for _, proto := range []string{"tcp", "udp"} {
		var port int
		if proto == "tcp" {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			port = l.Addr().(*net.TCPAddr).Port
		} else {
			l, err := net.ListenPacket("udp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			port = l.LocalAddr().(*net.UDPAddr).Port
		}
		m := portmap.Mapping{Protocol: proto, Host: uint16(port), Container: 80, IP: netip.MustParseAddr("127.0.0.1")}
		_, err := listen(&m, ipam.Lease{Addr: netip.MustParseAddr("192.0.2.1")}, networksIn(t.TempDir()))
		name, readErr := os.ReadFile("/proc/self/comm")
		require.NoError(t, readErr)
		require.EqualError(t, err, fmt.Sprintf("port %d/%s of the host is in use by %s (process %d): choose another, or let box choose, with -p 80",
			port, proto, strings.TrimSpace(string(name)), os.Getpid()))
	}
	m := portmap.Mapping{Protocol: "tcp", IP: netip.MustParseAddr("192.0.2.77"), Host: 9, Container: 9}
	_, err := listen(&m, ipam.Lease{Addr: netip.MustParseAddr("192.0.2.1")}, networksIn(t.TempDir()))
	require.Error(t, err)
}

// 0.0.0.0 and :: are all addresses of one family.
func TestAllAddressesOfAFamily(t *testing.T) {
	l := ipam.Lease{Addr: netip.MustParseAddr("10.0.0.2"), Addr6: netip.MustParseAddr("fd00::2"), ID: "x"}
	for spec, want := range map[string]string{"0.0.0.0:0:80": "true any4, false any6, 1", "[::]:0:80": "false any4, true any6, 1"} {
		list, err := portmap.Parse([]string{spec})
		require.NoError(t, err)
		e4, is4 := list[0].Element(l.Addr, l.ID)
		e6, is6 := list[0].Element(l.Addr6, l.ID)
		if !rtnl.HasIPv6() && list[0].IP.Is6() {
			continue
		}
		proxies, err := listen(&list[0], l, networksIn(t.TempDir()))
		require.NoError(t, err)
		proxy.CloseAll(proxies)
		require.Equal(t, want, fmt.Sprintf("%v any4, %v any6, %d", is4, is6, len(proxies)))
		require.Equal(t, "any4 any6", e4.Set+" "+e6.Set)
	}
}

// lease leases an address to a container of a test.
func lease(dir networks, n *ipam.Network, id string, wanted netip.Addr, dry bool, names ...string) (ipam.Lease, *os.File, error) {
	l := ipam.Lease{ID: id, Keeper: ipam.Keeper(os.Getpid()), Names: names}
	held, err := dir.acquire(n, &l, wanted, true, dry)
	return l, held, err
}

// newNetwork makes a network of a test.
func newNetwork(dir networks, name string, subnet netip.Prefix, internal bool) (*ipam.Network, error) {
	n := &ipam.Network{Name: name, Internal: internal}
	return n, dir.create(n, subnet, false)
}

func TestLeases(t *testing.T) {
	dir := networksIn(filepath.Join(t.TempDir(), "networks"))
	require.NoError(t, os.Mkdir(dir.Path, 0o755))
	n := &ipam.Network{Name: "small", Bridge: "box-0", Subnet: netip.MustParsePrefix("10.9.8.0/29"), Gateway: netip.MustParseAddr("10.9.8.1"), MTU: 1500}
	require.NoError(t, os.WriteFile(dir.File("small.json"), []byte(`{"name":"small","bridge":"box-0","subnet":"10.9.8.0/29","gateway":"10.9.8.1","mtu":1500}`), 0o644))
	var keepers []*os.File
	for i := 2; i <= 6; i++ {
		l, held, err := lease(dir, n, fmt.Sprint("id", i), netip.Addr{}, false, fmt.Sprint("name", i))
		require.NoError(t, err)
		keepers = append(keepers, held)
		require.Equal(t, fmt.Sprint("10.9.8.", i), l.Addr.String())
	}
	_, _, err := lease(dir, n, "id7", netip.Addr{}, false)
	require.ErrorContains(t, err, "network small has no address left: all of 10.9.8.0/29 are taken")
	require.NoError(t, dir.Release(n, "id5"))
	require.NoError(t, dir.Release(n, "id3"))
	l, _, err := lease(dir, n, "id8", netip.Addr{}, true)
	require.NoError(t, err)
	require.Equal(t, "10.9.8.3", l.Addr.String(), "the lowest that is free")
	list, dead, err := dir.Leases(n)
	require.NoError(t, err)
	require.Len(t, list, 3, "a dry run takes none")
	require.Empty(t, dead)
	for _, bad := range []string{"10.9.8.1", "10.9.8.7", "10.9.8.0", "10.9.9.2", "10.9.8.2"} {
		_, _, err := lease(dir, n, "id9", netip.MustParseAddr(bad), false)
		require.ErrorContains(t, err, "--ip "+bad+" is ")
	}

	// The lock decides, and not the number of a process: in another PID namespace ours is another.
	listed := func(through ...string) string {
		out, err := exec.Command("unshare", append(through, box, "network", "inspect", "--root", filepath.Dir(dir.Path), "small")...).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	for _, name := range []string{"name2", "name4", "name6"} {
		require.Contains(t, listed("-r", "-p", "-f", "--mount-proc"), name)
	}
	require.NoError(t, keepers[0].Close()) // as the end of its box does
	list, dead, err = dir.Leases(n)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "name2", dead[0].Label())
	require.NotContains(t, listed("-r"), "name2")

	require.NoError(t, os.WriteFile(filepath.Join(dir.Path, "small.leases"), []byte("nonsense\n10.9.8.2 - a\n\x00\n"), 0o644))
	list, dead, err = dir.Leases(n)
	require.NoError(t, err)
	require.Empty(t, append(list, dead...))
}

func TestNetworksAreNamed(t *testing.T) {
	dir := networksIn(t.TempDir())
	for _, name := range []string{"", "../x", "a b", "-x", strings.Repeat("x", 64), "a/b"} {
		_, err := dir.Find(name)
		require.ErrorContains(t, err, "a name has letters, digits")
		_, err = newNetwork(dir, name, netip.Prefix{}, false)
		require.ErrorContains(t, err, "a name has letters, digits")
	}
	_, err := dir.Find("absent")
	require.ErrorIs(t, err, ipam.ErrNoNetwork)
	for _, subnet := range []string{"fd00::/64", "10.0.0.0/30", "0.0.0.0/0", "127.0.0.0/16", "224.0.0.0/16"} {
		_, err := newNetwork(dir, "x", netip.MustParsePrefix(subnet), false)
		require.ErrorContains(t, err, "give an IPv4 subnet for hosts", subnet)
	}
	require.NoError(t, os.WriteFile(dir.File("broken.json"), []byte(`{"name":"broken"}`), 0o644))
	_, err = dir.Find("broken")
	require.ErrorContains(t, err, "is not the record of a network; restore it, or remove the network: box network rm -f broken")
}

// TestNamesComeFromTheLeases asks for the names of two containers.
func TestNamesComeFromTheLeases(t *testing.T) {
	dir := networksIn(t.TempDir())
	n, err := newNetwork(dir, "Net", netip.Prefix{}, false)
	require.NoError(t, err)
	elsewhere, err := newNetwork(dir, "elsewhere", netip.Prefix{}, true)
	require.NoError(t, err)
	web := ipam.Lease{Addr: netip.MustParseAddr("10.0.0.2"), Addr6: netip.MustParseAddr("fd00::2"), ID: "0123456789abcdef", Keeper: ipam.Keeper(os.Getpid()), Names: []string{"web", "Shared"}}
	db := ipam.Lease{Addr: netip.MustParseAddr("10.0.0.3"), ID: "fedcba9876543210", Keeper: web.Keeper, Names: []string{"db", "shared"}}
	require.NoError(t, ipam.Write(dir.LeaseFile(n.Name), []ipam.Lease{web, db}))
	for _, id := range []string{web.ID, db.ID} {
		held, err := state.TryLockName(dir.File("keepers"), id, state.Exclusive)
		require.NoError(t, err)
		t.Cleanup(func() { held.Close() })
	}
	require.NoError(t, ipam.Write(dir.LeaseFile(elsewhere.Name), []ipam.Lease{{Addr: db.Addr, ID: db.ID, Keeper: db.Keeper, Names: []string{"hidden"}}}))
	r := &resolver{dir: dir, id: web.ID, links: map[string]string{"database": "db"}}
	for name, want := range map[string]dns.Records{
		"web":                      {Addrs: []netip.Addr{web.Addr, web.Addr6}},
		"db":                       {Addrs: []netip.Addr{db.Addr}},
		"database":                 {Addrs: []netip.Addr{db.Addr}}, // by a link
		"shared":                   {Addrs: []netip.Addr{web.Addr, web.Addr6, db.Addr}},
		"0123456789ab":             {Addrs: []netip.Addr{web.Addr, web.Addr6}},
		"web.net":                  {Addrs: []netip.Addr{web.Addr, web.Addr6}},
		"shared.net":               {Addrs: []netip.Addr{web.Addr, web.Addr6, db.Addr}},
		dns.ReverseName(web.Addr):  {Names: []string{"web.Net"}},
		dns.ReverseName(web.Addr6): {Names: []string{"web.Net"}},
		dns.ReverseName(db.Addr):   {Names: []string{"db.Net"}},
	} {
		found, err := r.lookUp(name)
		require.NoError(t, err, name)
		require.Equal(t, want, found, name)
	}
	for _, name := range []string{"", "x", "net", ".net", "web.other", "web.net.net", "hidden", "0123456789a", "0123456789abcdef", dns.ReverseName(netip.MustParseAddr("10.0.0.4"))} {
		for internal, want := range map[bool]error{false: dns.ErrUnknown, true: dns.ErrNoName} {
			n.Internal = internal
			require.NoError(t, state.WriteJSON(dir.File("Net.json"), n, state.Volatile))
			_, err := r.lookUp(name)
			require.ErrorIs(t, err, want, name)
		}
	}
}

// TestResolverKeepsNoDescriptor: the sockets are net's from then on, and not also files for the
// garbage collector to close.
func TestResolverKeepsNoDescriptor(t *testing.T) {
	open := func(kind int) *plan.Call {
		fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		return &plan.Call{Ret: uintptr(fd)}
	}
	r := &resolver{dir: networksIn(t.TempDir()), udp: open(unix.SOCK_DGRAM), tcp: open(unix.SOCK_STREAM)}
	require.NoError(t, unix.Listen(int(r.tcp.Ret), 1))
	require.NoError(t, r.start())
	defer r.stop()
	for _, call := range []*plan.Call{r.udp, r.tcp} {
		name, err := os.Readlink(fmt.Sprint("/proc/self/fd/", call.Ret))
		require.True(t, err != nil || !strings.HasPrefix(name, "socket:"), "%d is open: %s", call.Ret, name)
	}
}

// TestConflictsAreToldAtCreate: and by the name of the flag that was given.
func TestConflictsAreToldAtCreate(t *testing.T) {
	c := &Container{Store: Store{Root: t.TempDir()}}
	c.record, c.Network = &Record{}, ipam.Names{"container:web"}
	require.ErrorContains(t, c.resolve(), "--network container:web: no such container")
	c.DNS = []string{"192.0.2.1"}
	require.ErrorContains(t, c.resolve(), "--dns and --network container:web exclude one another")
	shared := ipam.CheckMode("host", 1, []ipam.Wish{{Network: "default"}})
	require.ErrorContains(t, shared, "--publish with --share net: ")
}
