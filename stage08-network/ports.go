// Published ports: -p [IP:]HOST:CTR[/udp]. The kernel redirects packets to the container
// (nat.go), and box listens on the port too, for three reasons: no other program can take it by
// mistake, ss(8) shows who has it, and connections to ::1 need a proxy, since IPv6 lets no packet
// with that address leave the host's loopback interface. The proxy ends with box, also after
// SIGKILL.

package main

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/proxy"
)

// listen opens a proxy on the host's port, for IPv4 and IPv6 unless the mapping has an address.
// If no port was given, the first one chooses it.
func listen(m *portmap.Mapping, l ipam.Lease, dir networks) (
	list []*proxy.Proxy, err error) {
	families := []string{"4", "6"}
	switch {
	case m.IP.Is4() || !m.IP.IsValid() && !hasIPv6():
		families = families[:1]
	case m.IP.Is6():
		families = families[1:]
	}
	for _, family := range families {
		target := netip.AddrPortFrom(l.Addr, m.Container).String()
		p, err := proxy.Listen(m.Protocol+family, m.Address(), target)
		if err != nil {
			closeAll(list)
			return nil, explainListen(*m, err, dir)
		}
		m.Host = p.Port()
		list = append(list, p)
	}
	return list, nil
}

func closeAll(list []*proxy.Proxy) {
	for _, p := range list {
		p.Close()
	}
}

// explainListen names the user of a port that is in use, and the reason of other errors.
func explainListen(m portmap.Mapping, err error, dir networks) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("port %d/%s of the host is in use by %s: choose another,"+
			" or let box choose, with -p %d",
			m.Host, m.Protocol, portUser(m.Protocol, m.Host, dir), m.Container)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("port %d is for root alone: an ordinary user's start at sysctl"+
			" net.ipv4.ip_unprivileged_port_start", m.Host)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this host: see ip addr", m.IP)
	}
	return err
}

// portUser names the container that uses a port, or else the process.
func portUser(proto string, port uint16, dir networks) string {
	pid, command := proxy.User(proto, port)
	if pid == 0 {
		return "something that cannot be seen from here"
	}
	if container := dir.containerOf(pid); container != "" {
		return container
	}
	return fmt.Sprintf("%s (process %d)", command, pid)
}
