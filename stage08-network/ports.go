// Published ports: -p [IP:]HOST:CTR[/udp]. The kernel redirects packets to the container
// (nat.go), and box listens on the port too, for three reasons: no other program can take it
// by mistake, ss(8) shows who has it, and what comes to ::1 has to be passed on by hand, since
// IPv6 lets no packet with that address leave the host's loopback interface. It ends with
// box, also after SIGKILL.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/proxy"
)

// portMap is a port of the host's, and the container's to which it leads.
type portMap struct {
	proto           string     // tcp or udp
	ip              netip.Addr // of the host; invalid for all
	host, container uint16     // host is 0 until one is found
}

// String is what box ps shows.
func (m portMap) String() string {
	on := "*"
	if m.ip.IsValid() {
		on = m.ip.String()
	}
	host := net.JoinHostPort(on, strconv.Itoa(int(m.host)))
	return fmt.Sprintf("%s->%d/%s", host, m.container, m.proto)
}

// listen takes the port on the host, on both families unless an address says which. The first
// chooses the number, if none was given.
func (m *portMap) listen(l lease, dir networks) (list []*proxy.Proxy, err error) {
	families := []string{"4", "6"}
	switch {
	case m.ip.Is4() || !m.ip.IsValid() && !hasIPv6():
		families = families[:1]
	case m.ip.Is6():
		families = families[1:]
	}
	for _, family := range families {
		target := netip.AddrPortFrom(l.addr, m.container).String()
		p, err := proxy.Listen(m.proto+family, m.on(), target)
		if err != nil {
			closeAll(list)
			return nil, m.explain(err, dir)
		}
		m.host = p.Port()
		list = append(list, p)
	}
	return list, nil
}

// on is the host's address and port, without an address where all are meant.
func (m *portMap) on() string {
	address := ""
	if m.ip.IsValid() {
		address = m.ip.String()
	}
	return net.JoinHostPort(address, strconv.Itoa(int(m.host)))
}

func closeAll(list []*proxy.Proxy) {
	for _, p := range list {
		p.Close()
	}
}

// explain says who has a port, where that can be known.
func (m *portMap) explain(err error, dir networks) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("port %d/%s of the host is in use by %s: choose another,"+
			" or let box choose, with -p %d",
			m.host, m.proto, portUser(m.proto, m.host, dir), m.container)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("port %d is for root alone: an ordinary user's start at sysctl"+
			" net.ipv4.ip_unprivileged_port_start", m.host)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this host: see ip addr", m.ip)
	}
	return err
}

// portUser names the container that has a port, or else the process.
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
