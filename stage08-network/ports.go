// Published ports: -p [IP:]HOST:CTR[/udp]. The kernel redirects packets to the container
// (nat.go), and box listens on the port too, for three reasons: nobody else can take it by
// mistake, ss(8) shows who has it, and what comes to ::1 has to be passed on by hand, since
// IPv6 lets no packet with that address leave the host's loopback interface. It ends with
// box, also after SIGKILL.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/proxy"
)

// portMap is a port of the host's, and the container's to which it leads.
type portMap struct {
	proto     string     // tcp or udp
	ip        netip.Addr // of the host; invalid for all
	host, box uint16     // host is 0 until one is found
}

// String is what box ps shows.
func (m portMap) String() string {
	on := "*"
	if m.ip.IsValid() {
		on = m.ip.String()
	}
	return fmt.Sprintf("%s->%d/%s", net.JoinHostPort(on, strconv.Itoa(int(m.host))), m.box, m.proto)
}

// mostPorts is how many a container may publish: each takes two descriptors.
const mostPorts = 1024

// parsePublish reads [[IP:][HOST]:]CTR[/tcp|/udp]; HOST and CTR may be ranges of the same
// length, such as 8000-8009.
func parsePublish(spec string) ([]portMap, error) {
	rest, proto, found := strings.Cut(spec, "/")
	if !found {
		proto = "tcp"
	}
	if proto != "tcp" && proto != "udp" {
		return nil, fmt.Errorf("%q is not a protocol: there are tcp and udp", proto)
	}
	m := portMap{proto: proto}
	hostPart, boxPart := "", rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		hostPart, boxPart = rest[:i], rest[i+1:]
	}
	if i := strings.LastIndexByte(hostPart, ':'); i >= 0 {
		ip, err := netip.ParseAddr(strings.Trim(hostPart[:i], "[]"))
		if err != nil || ip.Zone() != "" {
			return nil, fmt.Errorf("%q is not an address of the host's: give 127.0.0.1 or [::1], for example", hostPart[:i])
		}
		hostPart = hostPart[i+1:]
		if !ip.IsUnspecified() {
			m.ip = ip.Unmap()
		}
	}
	first, count, err := portRange(boxPart)
	if err != nil {
		return nil, err
	}
	host, hosts := 0, count
	if hostPart != "" && hostPart != "0" {
		if host, hosts, err = portRange(hostPart); err != nil {
			return nil, err
		}
	}
	if hosts != count {
		return nil, fmt.Errorf("%d ports of the host's cannot lead to %d of the container's", hosts, count)
	}
	var list []portMap
	for i := range count {
		if m.box = uint16(first + i); host > 0 {
			m.host = uint16(host + i)
		}
		list = append(list, m)
	}
	return list, nil
}

// portRange reads N or N-M.
func portRange(s string) (first, count int, err error) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	switch {
	case errA != nil || errB != nil || a == 0 || b < a:
		return 0, 0, fmt.Errorf("%q is not a port: one is a number from 1 to 65535, a range is two, such as 8000-8009", s)
	case b-a >= mostPorts:
		return 0, 0, fmt.Errorf("%q are more than %d ports", s, mostPorts)
	}
	return int(a), int(b-a) + 1, nil
}

// parsePublished reads all specifications.
func parsePublished(specs []string) ([]portMap, error) {
	var list []portMap
	for _, spec := range specs {
		more, err := parsePublish(spec)
		if err != nil {
			return nil, fmt.Errorf("--publish %s: %w", spec, err)
		}
		list = append(list, more...)
	}
	if len(list) > mostPorts {
		return nil, fmt.Errorf("--publish: %d ports are more than %d", len(list), mostPorts)
	}
	return list, nil
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
		p, err := proxy.Listen(m.proto+family, m.on(), netip.AddrPortFrom(l.addr, m.box).String())
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
		return fmt.Errorf("port %d/%s of the host is in use by %s: choose another, or let box choose, with -p %d",
			m.host, m.proto, portUser(m.proto, m.host, dir), m.box)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("port %d is for root alone: an ordinary user's start at sysctl net.ipv4.ip_unprivileged_port_start", m.host)
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
