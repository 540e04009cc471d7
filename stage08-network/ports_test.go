package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage08-network/dns"
)

func TestPublishIsParsed(t *testing.T) {
	for spec, want := range map[string]string{
		"80":                        "[*:0->80/tcp]",
		"8080:80":                   "[*:8080->80/tcp]",
		"8080:80/udp":               "[*:8080->80/udp]",
		"127.0.0.1:8080:80":         "[127.0.0.1:8080->80/tcp]",
		"127.0.0.1::80":             "[127.0.0.1:0->80/tcp]",
		"0.0.0.0:8080:80":           "[*:8080->80/tcp]",
		"[::1]:8080:80":             "[[::1]:8080->80/tcp]",
		"::1:8080:80":               "[[::1]:8080->80/tcp]",
		"8000-8002:80-82":           "[*:8000->80/tcp *:8001->81/tcp *:8002->82/tcp]",
		"80-81/udp":                 "[*:0->80/udp *:0->81/udp]",
		"[::ffff:192.0.2.1]:8:9":    "[192.0.2.1:8->9/tcp]",
		"x":                         `"x" is not a port`,
		"8080:":                     `"" is not a port`,
		"0:80":                      "[*:0->80/tcp]",
		"65536:80":                  `"65536" is not a port`,
		"80:0":                      `"0" is not a port`,
		"8000-8002:80":              "3 ports of the host's cannot lead to 1 of the container's",
		"80:80/sctp":                `"sctp" is not a protocol: there are tcp and udp`,
		"nohost:8080:80":            `"nohost" is not an address of the host's`,
		"1-60000:1-60000":           "are more than 1024 ports",
		"[fe80::1%eth0]:8080:80":    "is not an address of the host's",
		"8080:80/tcp/udp":           `"tcp/udp" is not a protocol`,
		"127.0.0.1:8080:80:90":      "is not an address",
		strings.Repeat("9", 100):    "is not a port",
		"8080:90-80":                `"90-80" is not a port`,
		"192.0.2.1:9000-9001:90-91": "[192.0.2.1:9000->90/tcp 192.0.2.1:9001->91/tcp]",
	} {
		list, err := parsePublish(spec)
		if err != nil {
			require.Contains(t, err.Error(), want, spec)
			continue
		}
		require.Equal(t, want, fmt.Sprint(list), spec)
	}
}

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
		m := portMap{proto: proto, host: uint16(port), container: 80, ip: netip.MustParseAddr("127.0.0.1")}
		_, err := m.listen(lease{addr: netip.MustParseAddr("192.0.2.1")}, networks(t.TempDir()))
		name, readErr := os.ReadFile("/proc/self/comm")
		require.NoError(t, readErr)
		require.EqualError(t, err, fmt.Sprintf("port %d/%s of the host is in use by %s (process %d): choose another, or let box choose, with -p 80",
			port, proto, strings.TrimSpace(string(name)), os.Getpid()))
	}
	m := portMap{proto: "tcp", ip: netip.MustParseAddr("192.0.2.77"), host: 9, container: 9}
	_, err := m.listen(lease{addr: netip.MustParseAddr("192.0.2.1")}, networks(t.TempDir()))
	require.Error(t, err)
}

func FuzzPublish(f *testing.F) {
	for _, spec := range []string{"80", "8080:80/udp", "[::1]:1-3:4-6", "127.0.0.1::80", ":::", "-", "1-65535"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		list, err := parsePublish(spec)
		if err == nil {
			require.NotEmpty(t, list)
			require.LessOrEqual(t, len(list), mostPorts)
		}
		for _, m := range list {
			require.NotZero(t, m.container)
			for _, v6 := range []bool{false, true} {
				m.element(lease{addr: netip.MustParseAddr("10.0.0.2"), addr6: netip.MustParseAddr("fd00::2"), id: "x"}, v6)
			}
		}
	})
}

func TestLeases(t *testing.T) {
	dir := networks(t.TempDir())
	n := &network{Name: "small", Bridge: "box-0", Subnet: netip.MustParsePrefix("10.9.8.0/29"), Gateway: netip.MustParseAddr("10.9.8.1"), MTU: 1500}
	require.NoError(t, dir.replace("small.json", []byte(`{"name":"small","bridge":"box-0","subnet":"10.9.8.0/29","gateway":"10.9.8.1","mtu":1500}`)))
	for i := 2; i <= 6; i++ {
		l, err := dir.acquire(n, fmt.Sprint("id", i), netip.Addr{}, []string{fmt.Sprint("name", i)}, false)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("10.9.8.", i), l.addr.String())
	}
	_, err := dir.acquire(n, "id7", netip.Addr{}, nil, false)
	require.ErrorContains(t, err, "network small has no address left: all of 10.9.8.0/29 are taken")
	require.NoError(t, dir.release(n, "id5"))
	require.NoError(t, dir.release(n, "id3"))
	l, err := dir.acquire(n, "id8", netip.Addr{}, nil, true)
	require.NoError(t, err)
	require.Equal(t, "10.9.8.3", l.addr.String(), "the lowest that is free")
	list, dead, err := dir.leases(n, true)
	require.NoError(t, err)
	require.Len(t, list, 3, "a dry run takes none")
	require.Empty(t, dead)
	for _, bad := range []string{"10.9.8.1", "10.9.8.7", "10.9.8.0", "10.9.9.2", "10.9.8.2"} {
		_, err := dir.acquire(n, "id9", netip.MustParseAddr(bad), nil, false)
		require.ErrorContains(t, err, "--ip "+bad+" is ")
	}

	// A number that another process has got meanwhile counts for nothing.
	stale := list[0]
	stale.keeper = fmt.Sprintf("%d@1", os.Getpid())
	require.NoError(t, dir.writeLeases(n, append(list[1:], stale)))
	_, dead, err = dir.leases(n, true)
	require.NoError(t, err)
	require.Len(t, dead, 1)

	require.NoError(t, os.WriteFile(filepath.Join(string(dir), "small.leases"), []byte("nonsense\n10.9.8.2 - a\n\x00\n"), 0o644))
	list, dead, err = dir.leases(n, true)
	require.NoError(t, err)
	require.Empty(t, append(list, dead...))
}

func TestNetworksAreNamed(t *testing.T) {
	dir := networks(t.TempDir())
	for _, name := range []string{"", "../x", "a b", "-x", strings.Repeat("x", 64), "a/b"} {
		_, err := dir.find(name)
		require.ErrorContains(t, err, "a name has letters, digits")
		_, err = dir.create(name, netip.Prefix{}, false, false)
		require.ErrorContains(t, err, "a name has letters, digits")
	}
	_, err := dir.find("absent")
	require.ErrorIs(t, err, errNoNetwork)
	for _, subnet := range []string{"fd00::/64", "10.0.0.0/30", "0.0.0.0/0", "127.0.0.0/16", "224.0.0.0/16"} {
		_, err := dir.create("x", netip.MustParsePrefix(subnet), false, false)
		require.ErrorContains(t, err, "give an IPv4 subnet for hosts", subnet)
	}
	require.NoError(t, dir.replace("broken.json", []byte(`{"name":"broken"}`)))
	_, err = dir.find("broken")
	require.ErrorContains(t, err, "is no network: remove the file")
}

func TestSubnetsAreChosen(t *testing.T) {
	s, err := chooseSubnet(netip.Prefix{}, []routeInfo{{to: netip.MustParsePrefix("0.0.0.0/0")}}, nil)
	require.NoError(t, err)
	require.Equal(t, "10.201.0.0/16", s.String())
	s, err = chooseSubnet(netip.Prefix{}, []routeInfo{{to: netip.MustParsePrefix("10.0.0.0/8")}}, []*network{{Subnet: netip.MustParsePrefix("192.168.201.0/24")}})
	require.NoError(t, err)
	require.Equal(t, "192.168.202.0/24", s.String())
	_, err = chooseSubnet(netip.Prefix{}, []routeInfo{{to: netip.MustParsePrefix("10.0.0.0/8")}, {to: netip.MustParsePrefix("192.168.0.0/16")}}, nil)
	require.ErrorContains(t, err, "give one with --subnet")
}

func FuzzLease(f *testing.F) {
	f.Add("10.0.0.2 fd00::2 id 1@2 a b\n")
	f.Add("10.0.0.2 - id -\n")
	f.Add("::1 - id -\n")
	f.Fuzz(func(t *testing.T, line string) {
		l, ok := parseLease(line)
		if !ok {
			return
		}
		l.alive(true)
		again, ok := parseLease(l.String())
		require.True(t, ok)
		require.Equal(t, l.addr, again.addr)
	})
}

// TestNamesComeFromTheLeases asks for the names of two containers.
func TestNamesComeFromTheLeases(t *testing.T) {
	dir := networks(t.TempDir())
	n := &network{Name: "n"}
	web := lease{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2"), "0123456789abcdef", keeperOf(os.Getpid()), []string{"web", "Shared"}}
	db := lease{addr: netip.MustParseAddr("10.0.0.3"), id: "fedcba9876543210", keeper: web.keeper, names: []string{"db", "shared"}}
	require.NoError(t, dir.writeLeases(n, []lease{web, db}))
	r := &resolver{dir: dir, network: n}
	for name, want := range map[string]dns.Records{
		"web":                      {Addrs: []netip.Addr{web.addr, web.addr6}},
		"db":                       {Addrs: []netip.Addr{db.addr}},
		"shared":                   {Addrs: []netip.Addr{web.addr, web.addr6, db.addr}},
		"0123456789ab":             {Addrs: []netip.Addr{web.addr, web.addr6}},
		dns.ReverseName(web.addr):  {Names: []string{"web"}},
		dns.ReverseName(web.addr6): {Names: []string{"web"}},
		dns.ReverseName(db.addr):   {Names: []string{"db"}},
	} {
		found, err := r.lookUp(name)
		require.NoError(t, err, name)
		require.Equal(t, want, found, name)
	}
	for _, name := range []string{"", "x", "0123456789a", "0123456789abcdef", dns.ReverseName(netip.MustParseAddr("10.0.0.4"))} {
		n.Internal = false
		_, err := r.lookUp(name)
		require.ErrorIs(t, err, dns.ErrUnknown, name)
		n.Internal = true
		_, err = r.lookUp(name)
		require.ErrorIs(t, err, dns.ErrNoName, name)
	}
}
