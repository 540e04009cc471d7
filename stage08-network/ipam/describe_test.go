package ipam

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescribe(t *testing.T) {
	d, n, _ := newDir(t)
	l := Lease{ID: "0123456789abcdef", Keeper: Keeper(os.Getpid()), Names: []string{"web"}}
	held, err := d.Acquire(n, &l, netip.Addr{}, false, func([]Lease) error { return nil })
	require.NoError(t, err)
	defer held.Close()

	a, err := d.Describe(n)
	require.NoError(t, err)
	require.Len(t, a.ID, 64)
	require.Equal(t, "10.9.8.0/29", a.IPAM.Config[0].Subnet)
	named, err := d.DescribeNamed("n")
	require.NoError(t, err)
	require.Equal(t, a, named)
	for _, name := range []string{"none-such", "host", "../n", ""} {
		named, err = d.DescribeNamed(name)
		require.NoError(t, err, name)
		require.Nil(t, named, name)
	}
	require.NoError(t, os.WriteFile(d.File("broken.json"), []byte("{}"), 0o644))
	_, err = d.DescribeNamed("broken")
	require.Error(t, err)
	require.NoError(t, os.Remove(d.File("broken.json")))
	member := a.Containers[l.ID]
	require.Equal(t, []string{"web", "10.9.8.2/29", "", "02:42:0a:09:08:02"},
		[]string{member.Name, member.IPv4Address, member.IPv6Address, member.MacAddress})
	e := d.Endpoint(n, l)
	require.Equal(t, a.ID, e.NetworkID)
	require.Equal(t, []string{"web", "0123456789ab"}, e.DNSNames)

	var table strings.Builder
	require.NoError(t, d.Write(&table, false))
	require.Regexp(t, `NAME +BRIDGE.*\nn +box-0 +10\.9\.8\.0/29 +- +1 +\n`, table.String())
	table.Reset()
	require.NoError(t, d.Write(&table, true))
	require.Equal(t, "n\n", table.String())
}

func TestWayOut(t *testing.T) {
	_, n, _ := newDir(t)
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	require.NoError(t, err)
	for _, c := range []struct {
		there, whole bool
		says         string
	}{{false, false, "no table t: no way out"}, {true, false, "table t lacks rules: no way out"}, {true, true, "masquerade: from 10.9.8.0/29 to outside, as the host"}} {
		if string(forward) != "1\n" {
			c.says = "ip_forward is 0: no way out"
		}
		way, err := n.WayOut("t", func() (bool, bool, error) { return c.there, c.whole, nil })
		require.NoError(t, err)
		require.Equal(t, c.says, way)
	}
	n.Internal = true
	way, err := n.WayOut("t", nil)
	require.NoError(t, err)
	require.Equal(t, "internal: no way out", way)
}

// TestReleaseAll ends the leases of one container, on the networks that it is on.
func TestReleaseAll(t *testing.T) {
	d, n, _ := newDir(t)
	for _, id := range []string{"0123456789abcdef", "other"} {
		held, err := d.Acquire(n, &Lease{ID: id, Keeper: Keeper(os.Getpid())}, netip.Addr{}, false, func([]Lease) error { return nil })
		require.NoError(t, err)
		defer held.Close()
	}
	var undone []Lease
	undo := func(list []Lease) error { undone = append(undone, list...); return nil }
	require.NoError(t, d.ReleaseAll("none", undo))
	require.Empty(t, undone)
	require.NoError(t, d.ReleaseAll("other", undo))
	require.Equal(t, []Lease{{ID: "other"}}, undone)
	live, _, err := d.Leases(n)
	require.NoError(t, err)
	require.Len(t, live, 1)
	require.Equal(t, "0123456789abcdef", live[0].ID)
}

func TestPrintOnce(t *testing.T) {
	d, _, _ := newDir(t)
	var out strings.Builder
	for range 2 {
		require.NoError(t, d.PrintOnce(&out, "a note"))
	}
	require.NoError(t, d.PrintOnce(&out, "another"))
	require.Equal(t, "box: a note\nbox: another\n", out.String())
}
