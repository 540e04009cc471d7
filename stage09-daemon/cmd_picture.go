// The picture of a network shows what the kernel has at this moment: links and their masters
// (RTM_GETLINK), the elements of the rules' maps (NFT_MSG_GETSETELEM), and the names of the
// leases. Here it becomes lines of text; the package picture draws them.

package main

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/picture"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/rtnl"
)

// picture reads what a picture of a network shows.
func (dir networks) picture(n *ipam.Network) (*picture.Network, error) {
	links, err := hostLinks()
	if err != nil {
		return nil, err
	}
	leases, _, err := dir.Leases(n)
	if err != nil {
		return nil, err
	}
	elements, err := published()
	if err != nil && !errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, err
	}
	bridge := slices.IndexFunc(links, func(l rtnl.Link) bool { return l.Name == n.Bridge })
	p := &picture.Network{}
	way, err := n.WayOut(string(natTable), nat.Find)
	if err != nil {
		return nil, err
	}
	p.Host = append([]string{"host's network namespace"}, n.Lines(way, bridge >= 0)...)
	for _, l := range leases {
		c := picture.Container{Link: "no link", Lines: append(l.Lines(), portmap.Texts(elements, l.ID)...)}
		if bridge >= 0 {
			if veth, found := ipam.VethOf(l.ID, links[bridge].Index, links); found {
				c.Link = veth
			}
		}
		p.Containers = append(p.Containers, c)
	}
	return p, nil
}
