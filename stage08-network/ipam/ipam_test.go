package ipam

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestSubnetsAreChosen(t *testing.T) {
	everywhere := func(list ...string) (uses []Use) {
		for _, prefix := range list {
			uses = append(uses, Use{netip.MustParsePrefix(prefix), "the user of " + prefix})
		}
		return uses
	}
	s, err := ChooseSubnet(netip.Prefix{}, nil)
	require.NoError(t, err)
	require.Equal(t, "10.201.0.0/16", s.String())
	s, err = ChooseSubnet(netip.Prefix{}, everywhere("10.0.0.0/8", "192.168.201.0/24"))
	require.NoError(t, err)
	require.Equal(t, "192.168.202.0/24", s.String())
	_, err = ChooseSubnet(netip.Prefix{}, everywhere("10.0.0.0/8", "192.168.0.0/16"))
	require.ErrorContains(t, err, "give one with --subnet")
	_, err = ChooseSubnet(netip.MustParsePrefix("10.9.8.7/24"), everywhere("10.9.0.0/16"))
	require.ErrorContains(t, err, "--subnet 10.9.8.0/24 overlaps with the user of 10.9.0.0/16")
	for _, subnet := range []string{"fd00::/64", "10.0.0.0/30", "0.0.0.0/0", "127.0.0.0/16", "224.0.0.0/16"} {
		_, err := ChooseSubnet(netip.MustParsePrefix(subnet), nil)
		require.ErrorContains(t, err, "give an IPv4 subnet for hosts", subnet)
	}
	require.Equal(t, "10.9.8.3", Nth(netip.MustParsePrefix("10.9.8.0/24"), 3).String())
	require.Equal(t, 64, UniqueLocal().Bits())
	require.NotEqual(t, UniqueLocal(), UniqueLocal())
}

// TestNarrow: a gateway that is not the first address leaves that one to containers, which get theirs from the range.
func TestNarrow(t *testing.T) {
	subnet := netip.MustParsePrefix("10.9.8.0/24")
	var n Network
	require.NoError(t, n.Narrow(subnet, "10.9.8.9", "10.9.8.64/31"))
	p := Pool{Subnet: subnet, Gateway: n.Gateway}
	number, err := p.Free(nil, netip.Addr{})
	require.NoError(t, err)
	require.Equal(t, uint32(1), number)
	p.Range = n.Range
	number, err = p.Free([]Lease{{Addr: netip.MustParseAddr("10.9.8.64")}}, netip.Addr{})
	require.NoError(t, err)
	require.Equal(t, uint32(65), number)
	_, err = p.Free([]Lease{{Addr: netip.MustParseAddr("10.9.8.64")}, {Addr: netip.MustParseAddr("10.9.8.65")}}, netip.Addr{})
	require.ErrorContains(t, err, "all of 10.9.8.64/31 are taken")
	number, err = p.Free(nil, netip.MustParseAddr("10.9.8.5"))
	require.NoError(t, err, "a wanted address may be outside the range")
	require.Equal(t, uint32(5), number)
	for _, wrong := range [][2]string{{"10.9.9.1", ""}, {"10.9.8.0", ""}, {"10.9.8.255", ""}, {"x", ""}, {"fd00::1", ""}, {"", "10.9.0.0/16"}, {"", "10.9.9.0/25"}, {"", "x"}, {"", "fd00::/64"}} {
		require.Error(t, new(Network).Narrow(subnet, wrong[0], wrong[1]), wrong)
	}
	require.Error(t, new(Network).Narrow(netip.Prefix{}, "10.9.8.1", ""), "a gateway needs a subnet")
	require.Error(t, new(Network).Narrow(netip.MustParsePrefix("fd00::/64"), "fd00::1", ""))
}

func TestFree(t *testing.T) {
	p := Pool{Network: "small", Subnet: netip.MustParsePrefix("10.9.8.0/29"), Gateway: netip.MustParseAddr("10.9.8.1")}
	var leases []Lease
	for i := uint32(2); i <= 6; i++ {
		n, err := p.Free(leases, netip.Addr{})
		require.NoError(t, err)
		require.Equal(t, i, n)
		leases = append(leases, Lease{Addr: Nth(p.Subnet, n), ID: fmt.Sprint("id", n)})
	}
	_, err := p.Free(leases, netip.Addr{})
	require.ErrorContains(t, err, "network small has no address left: all of 10.9.8.0/29 are taken")
	leases = append(leases[:1], leases[2:]...)
	n, err := p.Free(leases, Nth(p.Subnet, 3))
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
	for bad, says := range map[string]string{
		"10.9.8.0": "taken: by the subnet itself", "10.9.8.1": "taken: by the gateway",
		"10.9.8.2": "taken: by container id2", "10.9.8.7": "taken: by broadcasts",
		"10.9.9.2": "not in 10.9.8.0/29, the subnet of network small",
	} {
		_, err := p.Free(leases, netip.MustParseAddr(bad))
		require.EqualError(t, err, "--ip "+bad+" is "+says)
	}
}

func TestLeasesLiveWithTheirKeepers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	isHeld := func(id string) bool { return id == "0123456789abcdef" }
	live, dead, err := Read(path, isHeld)
	require.NoError(t, err)
	require.Empty(t, append(live, dead...))
	own := Lease{netip.MustParseAddr("10.9.8.3"), netip.MustParseAddr("fd00::3"), "0123456789abcdef", Keeper(os.Getpid()), []string{"Web", "db"},
		net.HardwareAddr{2, 0x42, 10, 0, 0, 9}}
	stale := Lease{Addr: netip.MustParseAddr("10.9.8.2"), ID: "stale", Keeper: fmt.Sprintf("%d@1", os.Getpid()), Names: []string{}}
	require.NoError(t, Write(path, []Lease{own, stale}))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("10.9.8.2 - stale %s\n10.9.8.3 fd00::3 0123456789abcdef %s mac=02:42:0a:00:00:09 Web db\n", stale.Keeper, own.Keeper), string(data))
	live, dead, err = Read(path, isHeld)
	require.NoError(t, err)
	require.Equal(t, []Lease{own}, live)
	require.Equal(t, []Lease{stale}, dead)

	require.NoError(t, os.WriteFile(path, []byte("nonsense\n10.9.8.2 - a\n\x00\n"), 0o644))
	live, dead, err = Read(path, isHeld)
	require.NoError(t, err)
	require.Empty(t, append(live, dead...))
}

func TestNames(t *testing.T) {
	l := Lease{ID: "0123456789abcdef", Names: []string{"Web", "db"}}
	require.Equal(t, "Web", l.Label())
	require.Equal(t, "x", Lease{ID: "x"}.Label())
	require.Equal(t, "Web, x", Labels([]Lease{l, {ID: "x"}}))
	for _, name := range []string{"web", "WEB", "db", "0123456789ab"} {
		require.True(t, l.hasName(name), name)
	}
	for _, name := range []string{"", "we", "0123456789abcdef", "0123456789a"} {
		require.False(t, l.hasName(name), name)
	}
}

func FuzzLease(f *testing.F) {
	f.Add("10.0.0.2 fd00::2 id 1@2 a b\n")
	f.Add("10.0.0.2 - id -\n")
	f.Add("::1 - id -\n")
	f.Fuzz(func(t *testing.T, line string) {
		l, ok := parse(line)
		if !ok {
			return
		}
		again, ok := parse(l.line())
		require.True(t, ok)
		require.Equal(t, l.Addr, again.Addr)
	})
}
