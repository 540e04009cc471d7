package ipam

import (
	"slices"

	"stagebox/stage08-network/nft"
	"stagebox/stage08-network/picture"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/rtnl"
)

// Picture is what a picture of a network shows: the host, and each container that has a lease. links are
// the host's, elements those of the maps of published ports, and way is what WayOut says.
func (d Dir) Picture(n *Network, links []rtnl.Link, elements []nft.Element, way string) (
	*picture.Network, error) {
	leases, _, err := d.Leases(n)
	if err != nil {
		return nil, err
	}
	bridge := slices.IndexFunc(links, func(l rtnl.Link) bool { return l.Name == n.Bridge })
	p := &picture.Network{}
	p.Host = append([]string{"host's network namespace"}, n.Lines(way, bridge >= 0)...)
	for _, l := range leases {
		c := picture.Container{Link: "no link", Lines: append(l.Lines(), portmap.Texts(elements, l.ID)...)}
		if bridge >= 0 {
			if veth, found := VethOf(l.ID, links[bridge].Index, links); found {
				c.Link = veth
			}
		}
		p.Containers = append(p.Containers, c)
	}
	return p, nil
}
