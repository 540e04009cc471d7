// Published ports: -p [IP:]HOST:CTR[/udp]. The kernel redirects packets to the container
// (nat.go), and box listens on the port too, for three reasons: no other program can take it by
// mistake, ss(8) shows who has it, and connections to ::1 need a proxy, since IPv6 lets no packet
// with that address leave the host's loopback interface. The proxy ends with box, also after
// SIGKILL.

package main

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/proxy"
	"stagebox/stage08-network/rtnl"
)

// listen opens a proxy on the host's port, for IPv4 and IPv6 unless the mapping has an address.
// If no port was given, the first one chooses it, until one is free for both.
func listen(m *portmap.Mapping, l ipam.Lease, dir networks) ([]*proxy.Proxy, error) {
	for chosen, taken := m.Host == 0, 0; ; taken++ {
		list, err := listenBoth(m, l, dir)
		if err == nil {
			return list, nil
		}
		forOne := len(list) > 0 && errors.Is(err, unix.EADDRINUSE)
		if !chosen || !forOne || taken == maxTaken {
			closeAll(list) // when none was free for the first family, m.Host is 0
			return nil, m.Explain(err, dir.ContainerOf)
		}
		defer closeAll(list) // not before another is found: it would be chosen again
		m.Host = 0
	}
}

// maxTaken is how many ports may be found taken for IPv6 alone before box gives up.
const maxTaken = 256

// listenBoth opens the proxies of one port: those before an error too.
func listenBoth(m *portmap.Mapping, l ipam.Lease, dir networks) (list []*proxy.Proxy, err error) {
	target := func() string { return netip.AddrPortFrom(dir.wayTo(l), m.Container).String() }
	for _, family := range m.Families(rtnl.HasIPv6()) {
		p, err := proxy.Listen(m.Protocol+family, m.Address(), target)
		if err != nil {
			return list, err
		}
		m.Host = p.Port()
		list = append(list, p)
	}
	return list, nil
}

// wayTo is where the ports of a container lead: to the address that it began with, or to another
// when it has left that network (see Record.leadElsewhere); invalid if none leads out.
func (dir networks) wayTo(l ipam.Lease) (to netip.Addr) {
	all, _ := dir.leasesOf(l.ID) // without them, there is no way
	for _, a := range all {
		if a.lease.Addr == l.Addr {
			return l.Addr
		}
		if !a.network.Internal && !to.IsValid() {
			to = a.lease.Addr
		}
	}
	return to
}

func closeAll(list []*proxy.Proxy) {
	for _, p := range list {
		p.Close()
	}
}
