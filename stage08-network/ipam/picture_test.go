package ipam

import (
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage08-network/nft"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/rtnl"
)

// TestPicture draws a container three times: without a bridge, without a link, and with both.
func TestPicture(t *testing.T) {
	d, n, _ := newDir(t)
	l := Lease{ID: "0123456789abcdef", Keeper: Keeper(os.Getpid()), Names: []string{"web"}}
	held, err := d.Acquire(n, &l, netip.Addr{}, false, func([]Lease) error { return nil })
	require.NoError(t, err)
	defer held.Close()
	list, err := portmap.Parse([]string{"8080:80"})
	require.NoError(t, err)
	own, other := portmap.Elements(list, l.ID, l.Addr), portmap.Elements(list, "other", l.Addr)
	bridge := rtnl.Link{Name: "box-0", Index: 5}
	veth := rtnl.Link{Name: NewVeth(l.ID), Index: 6, Master: 5}
	for _, c := range []struct {
		links []rtnl.Link
		want  string
	}{{[]rtnl.Link{veth}, "no link"}, {[]rtnl.Link{bridge}, "no link"}, {[]rtnl.Link{bridge, veth}, veth.Name}} {
		p, err := d.Picture(n, c.links, append(own, other...), "the way")
		require.NoError(t, err)
		require.Contains(t, p.Host, "the way")
		require.Len(t, p.Containers, 1)
		require.Equal(t, c.want, p.Containers[0].Link)
		require.Contains(t, p.Containers[0].Lines, "tcp *:8080 -> 80")
		require.Len(t, p.Containers[0].Lines, len(l.Lines())+1, "the other's port is not its own")
	}
	require.NoError(t, held.Close())
	p, err := d.Picture(n, nil, []nft.Element{}, "")
	require.NoError(t, err)
	require.Empty(t, p.Containers, "its lease has ended")
}
