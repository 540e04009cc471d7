// The picture of a network shows what the kernel has at this moment: links and their masters
// (RTM_GETLINK), the elements of the rules' maps (NFT_MSG_GETSETELEM), and the names of the
// leases. Here it becomes lines of text; the package picture draws them.

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/nft"
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
	if p.Host, err = hostText(n, bridge >= 0); err != nil {
		return nil, err
	}
	for _, l := range leases {
		c := picture.Container{Link: "no link", Lines: leaseText(l, elements)}
		for _, link := range links {
			if bridge >= 0 && link.Master == links[bridge].Index && owns(l, link) {
				c.Link = link.Name
			}
		}
		p.Containers = append(p.Containers, c)
	}
	return p, nil
}

// owns reports whether a link is the host's end of a container's veth pair.
func owns(l ipam.Lease, link rtnl.Link) bool {
	return strings.HasPrefix(link.Name, fmt.Sprintf("veth%.5s", l.ID))
}

// hostText returns the lines in the host's box.
func hostText(n *ipam.Network, isUp bool) ([]string, error) {
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

// leaseText returns the lines in a container's box: its addresses, and its published ports.
func leaseText(l ipam.Lease, elements []nft.Element) []string {
	lines := []string{l.Label(), "eth0 " + l.Addr.String()}
	if l.Addr6.IsValid() {
		lines = append(lines, l.Addr6.String())
	}
	for _, e := range elements {
		if text := portmap.Text(e); e.Comment == l.ID && text != "" {
			lines = append(lines, text)
		}
	}
	return lines
}

// wayOut describes how packets of a network leave the host.
func wayOut(n *ipam.Network) (string, error) {
	if n.Internal {
		return "internal: no way out", nil
	}
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		return "", err
	}
	there, whole, err := findTable()
	switch {
	case err != nil:
		return "", err
	case string(forward) != "1\n":
		return "ip_forward is 0: no way out", nil
	case !there:
		return "no table " + string(natTable) + ": no way out", nil
	case !whole:
		return "table " + string(natTable) + " lacks rules: no way out", nil
	}
	return fmt.Sprintf("masquerade: from %s to outside, as the host", n.Subnet), nil
}
