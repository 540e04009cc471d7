// The picture of a network shows what the kernel has at this moment: links and their masters
// (RTM_GETLINK), the elements of the rules' maps (NFT_MSG_GETSETELEM), and the names of the
// leases. It is put into words here; the package picture draws it.
package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/nft"
	"stagebox/stage08-network/picture"
)

// picture reads what a picture of a network shows.
func (dir networks) picture(n *network) (*picture.Network, error) {
	links, err := hostLinks()
	if err != nil {
		return nil, err
	}
	leases, _, err := dir.leases(n, true)
	if err != nil {
		return nil, err
	}
	elements, err := published()
	if err != nil && !errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, err
	}
	bridge := slices.IndexFunc(links, func(l linkInfo) bool { return l.Name == n.Bridge })
	p := &picture.Network{}
	if p.Host, err = hostText(n, bridge >= 0); err != nil {
		return nil, err
	}
	for _, l := range leases {
		c := picture.Container{Link: "no cable", Lines: leaseText(l, elements)}
		for _, link := range links {
			if bridge >= 0 && link.Master == links[bridge].Index && l.owns(link) {
				c.Link = link.Name
			}
		}
		p.Containers = append(p.Containers, c)
	}
	return p, nil
}

// owns reports whether a link is the host's end of a container's cable.
func (l lease) owns(link linkInfo) bool {
	return strings.HasPrefix(link.Name, fmt.Sprintf("veth%.5s", l.id))
}

// hostText is what the host's box says.
func hostText(n *network, isUp bool) ([]string, error) {
	lines := []string{"host's network namespace", "network " + n.Name,
		"bridge " + n.Bridge + "  " + netip.PrefixFrom(n.Gateway, n.Subnet.Bits()).String()}
	if n.Gateway6.IsValid() {
		lines = append(lines, netip.PrefixFrom(n.Gateway6, n.Subnet6.Bits()).String())
	}
	way, err := wayOut(n)
	if lines = append(lines, way); !isUp {
		lines = append(lines, "the bridge is made with the first container")
	}
	return lines, err
}

// leaseText is what a container's box says: its addresses, and the ports that lead to it.
func leaseText(l lease, elements []nft.Element) []string {
	lines := []string{l.label(), "eth0 " + l.addr.String()}
	if l.addr6.IsValid() {
		lines = append(lines, l.addr6.String())
	}
	for _, e := range elements {
		if text := portText(e); e.Comment == l.id && text != "" {
			lines = append(lines, text)
		}
	}
	return lines
}
