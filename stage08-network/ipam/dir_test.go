package ipam

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/state"
)

// newDir has a network n with eight addresses.
func newDir(t *testing.T) (d Dir, n *Network, warnings *[]error) {
	warnings = new([]error)
	d = Dir{Path: t.TempDir(), Warn: func(err error) { *warnings = append(*warnings, err) }}
	n = &Network{Name: "n", Bridge: "box-0"}
	require.NoError(t, d.Add(n, false, func(others []*Network) error {
		require.Empty(t, others)
		n.Subnet, n.Gateway = netip.MustParsePrefix("10.9.8.0/29"), netip.MustParseAddr("10.9.8.1")
		return nil
	}))
	return d, n, warnings
}

func TestNetworksAreRecords(t *testing.T) {
	d, n, warnings := newDir(t)
	found, err := d.Find("n")
	require.NoError(t, err)
	require.Equal(t, n, found)
	_, err = d.Find("none-such")
	require.ErrorIs(t, err, ErrNoNetwork)
	require.ErrorContains(t, err, "box network create none-such makes it")
	require.NotContains(t, err.Error(), "did you mean")
	front := *n
	front.Name = "front"
	require.NoError(t, state.WriteJSON(d.File("front.json"), &front, state.Volatile))
	_, err = d.Find("fornt")
	require.ErrorContains(t, err, "\n     did you mean front?")
	require.NoError(t, os.Remove(d.File("front.json")))
	for _, name := range reserved {
		_, err = d.Find(name)
		require.ErrorIs(t, err, ErrNoNetwork)
		require.NotContains(t, err.Error(), "box network create")
		require.ErrorContains(t, err, "means something else for --network")
	}
	none := func([]*Network) error { return nil }
	require.ErrorContains(t, d.Add(n, false, none), "network n exists already")
	require.ErrorContains(t, d.Add(&Network{Name: "host"}, true, none), "means something else")
	require.NoError(t, d.Add(&Network{Name: "dry"}, true, none))
	require.NoError(t, os.WriteFile(d.File("broken.json"), []byte("{}"), 0o644))
	all, err := d.List()
	require.NoError(t, err)
	require.Equal(t, []*Network{n}, all)
	require.Len(t, *warnings, 1)
	require.False(t, n.IsElsewhere())
	n.Netns = "net:[1]"
	require.True(t, n.IsElsewhere())
	require.NoError(t, d.Remove("n"))
	_, err = d.Find("n")
	require.ErrorIs(t, err, ErrNoNetwork)
}

func TestALeaseLastsAsLongAsItsLock(t *testing.T) {
	d, n, _ := newDir(t)
	var gone []Lease
	release := func(dead []Lease) error { gone = append(gone, dead...); return nil }
	l := Lease{ID: "0123456789abcdef", Keeper: Keeper(os.Getpid()), Names: []string{"web"}}
	held, err := d.Acquire(n, &l, netip.Addr{}, true, release)
	require.NoError(t, err)
	require.Equal(t, "10.9.8.2", l.Addr.String())
	leased, err := d.IsLeased()
	require.NoError(t, err)
	require.True(t, leased)
	require.Equal(t, "container web", d.ContainerOf(os.Getpid()))
	require.NoError(t, d.Rename(l.ID, "shop"))
	require.Equal(t, "container shop", d.ContainerOf(os.Getpid()))
	again := l
	_, err = d.Acquire(n, &again, netip.Addr{}, true, release)
	require.ErrorIs(t, err, state.ErrBusy)
	require.NoError(t, held.Close())
	live, dead, err := d.Leases(n)
	require.NoError(t, err)
	require.Empty(t, live)
	require.Len(t, dead, 1)
	full := errors.New("not undone")
	_, err = d.Acquire(n, &again, netip.Addr{}, true, func([]Lease) error { return full })
	require.ErrorIs(t, err, full)
	other := Lease{ID: "fedcba9876543210", Keeper: "-"}
	held, err = d.Acquire(n, &other, netip.Addr{}, true, release)
	require.NoError(t, err)
	require.Equal(t, l.ID, gone[0].ID)
	require.Equal(t, "10.9.8.2", other.Addr.String(), "the dead one's")
	require.NoError(t, d.Release(n, other.ID))
	require.NoError(t, held.Close())
	live, dead, err = d.Leases(n)
	require.NoError(t, err)
	require.Empty(t, append(live, dead...))
	require.NoError(t, d.Remove("n"))
	_, err = d.Acquire(n, &other, netip.Addr{}, true, release)
	require.ErrorIs(t, err, ErrNoNetwork)
}
