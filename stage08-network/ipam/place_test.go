package ipam

import (
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWayTo follows a container from network to network: n, on which it began, and its neighbours.
func TestWayTo(t *testing.T) {
	d, n, _ := newDir(t)
	other := func(name, subnet string, internal bool) *Network {
		o := &Network{Name: name, Bridge: "box-" + name, Internal: internal}
		require.NoError(t, d.Add(o, false, func([]*Network) error {
			o.Subnet = netip.MustParsePrefix(subnet)
			o.Gateway = Nth(o.Subnet, 1)
			return nil
		}))
		return o
	}
	inner, outer := other("inner", "10.9.7.0/29", true), other("outer", "10.9.9.0/29", false)
	none := func([]Lease) error { return nil }
	first := Lease{ID: "0123456789abcdef", Keeper: Keeper(os.Getpid()), Names: []string{"web"}}
	held, err := d.Acquire(n, &first, netip.Addr{}, false, none)
	require.NoError(t, err)
	defer held.Close()
	stranger := Lease{ID: "fedcba9876543210", Keeper: Keeper(os.Getpid())}
	theirs, err := d.Acquire(outer, &stranger, netip.Addr{}, false, none)
	require.NoError(t, err)
	defer theirs.Close()
	require.Equal(t, first.Addr, d.WayTo(first))

	within, outside := first, first
	require.NoError(t, d.AcquireMore(inner, &within, netip.Addr{}, false, none))
	require.NoError(t, d.Release(n, first.ID))
	require.False(t, d.WayTo(first).IsValid(), "the network that is left leads nowhere")
	require.NoError(t, d.AcquireMore(outer, &outside, netip.Addr{}, false, none))
	require.Equal(t, "10.9.9.3", d.WayTo(first).String())
	places, err := d.PlacesOf(first.ID)
	require.NoError(t, err)
	require.Equal(t, []Place{{inner, within}, {outer, outside}}, places)
	require.Equal(t, []bool{false, true}, []bool{places[0].LeadsOut(), places[1].LeadsOut()})

	require.NoError(t, os.Remove(d.LeaseFile("inner")))
	require.NoError(t, os.Mkdir(d.LeaseFile("inner"), 0o755))
	places, err = d.PlacesOf(first.ID)
	require.Error(t, err)
	require.Len(t, places, 1, "what can be read")
	require.Equal(t, outside.Addr, d.WayTo(first))
}
