// Published ports: -p [IP:]HOST:CTR[/udp]. The kernel redirects packets to the container
// (nat.go), and box listens on the port too, for three reasons: no other program can take it by
// mistake, ss(8) shows who has it, and connections to ::1 need a proxy, since IPv6 lets no packet
// with that address leave the host's loopback interface. The proxy ends with box, also after
// SIGKILL.

package main

import (
	"net/netip"

	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/proxy"
	"stagebox/stage08-network/rtnl"
)

// listen opens the proxies on a port of the host, of IPv4 and of IPv6.
func listen(m *portmap.Mapping, l ipam.Lease, dir networks) ([]*proxy.Proxy, error) {
	target := func() string { return netip.AddrPortFrom(dir.WayTo(l), m.Container).String() }
	list, err := m.Listen(rtnl.HasIPv6(), target)
	if err != nil {
		return nil, m.Explain(err, dir.ContainerOf)
	}
	return list, nil
}
