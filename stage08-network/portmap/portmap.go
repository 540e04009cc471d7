// Package portmap reads the values of -p, [[IP:][HOST]:]CONTAINER[/tcp|/udp], which say which
// ports of the host lead to which ports of a container. It composes the elements of the maps in
// nf_tables that redirect packets (Elements), and listens on the host's ports (Mapping.Listen).
// The caller sends the elements to the kernel. flow.go reads what connection tracking says of a
// flow.
package portmap

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"stagebox/stage04-unionfs/api"
)

// Most is how many ports a container may publish: each takes two descriptors.
const Most = 1024

// Mapping is a port of the host's, and the container's to which it leads.
type Mapping struct {
	Protocol        string     // tcp or udp
	IP              netip.Addr // of the host; invalid for all, 0.0.0.0 or :: for all of a family
	Host, Container uint16     // Host is 0 until one is found
}

// Published is the mapping as docker ps shows it, for each family that it is meant for, IPv4
// first: 0.0.0.0:8080->80/tcp, and with v6 [::]:8080->80/tcp.
func (m Mapping) Published(v6 bool) []string {
	list := []string{m.on("0.0.0.0") + "->" + m.Port()}
	if !m.IP.IsValid() && v6 {
		list = append(list, m.on("::")+"->"+m.Port())
	}
	return list
}

// Published returns all mappings of a list as docker ps shows them, each as Mapping.Published
// does.
func Published(list []Mapping, v6 bool) (published []string) {
	for _, m := range list {
		published = append(published, m.Published(v6)...)
	}
	return published
}

// families returns the families that the mapping listens on, "4" or "6", IPv4 first; v6 is whether
// the host has IPv6.
func (m Mapping) families(v6 bool) []string {
	switch {
	case m.IP.Is4() || !m.IP.IsValid() && !v6:
		return []string{"4"}
	case m.IP.Is6():
		return []string{"6"}
	}
	return []string{"4", "6"}
}

// Port is the container's port, such as 80/tcp.
func (m Mapping) Port() string { return fmt.Sprintf("%d/%s", m.Container, m.Protocol) }

// Binding is the host's side, as it was asked for.
func (m Mapping) Binding() (b api.PortBinding) {
	if m.IP.IsValid() {
		b.HostIP = m.IP.String()
	}
	if m.Host > 0 {
		b.HostPort = strconv.Itoa(int(m.Host))
	}
	return b
}

// Split splits what Published returns into the container's port and the host's side.
func Split(published string) (port string, b api.PortBinding) {
	host, port, _ := strings.Cut(published, "->")
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		b = api.PortBinding{HostIP: strings.Trim(host[:i], "[]"), HostPort: host[i+1:]}
	}
	return port, b
}

// Reread reads mappings as Published has written them, one for each family.
func Reread(published []string) ([]Mapping, error) {
	specs := make([]string, len(published))
	for i, one := range published {
		specs[i] = strings.Replace(one, "->", ":", 1)
	}
	return Parse(specs)
}

// Address is the host's address and port as package net takes it for listening: ":8080" for every
// address.
func (m Mapping) Address() string { return m.on("") }

func (m Mapping) on(all string) string {
	if m.IP.IsValid() {
		all = m.IP.String()
	}
	return net.JoinHostPort(all, strconv.Itoa(int(m.Host)))
}

// Parse reads the values of --publish, Most mappings in all.
func Parse(specs []string) ([]Mapping, error) {
	var list []Mapping
	for _, spec := range specs {
		more, err := parse(spec)
		if err != nil {
			return nil, fmt.Errorf("--publish %s: %w", spec, err)
		}
		list = append(list, more...)
	}
	if len(list) > Most {
		return nil, fmt.Errorf("--publish: %d ports are more than %d", len(list), Most)
	}
	return list, nil
}

// parse reads one value. HOST and CONTAINER may be ranges of the same length, such as 8000-8009.
func parse(spec string) ([]Mapping, error) {
	rest, proto, found := strings.Cut(spec, "/")
	if !found {
		proto = "tcp"
	}
	if proto != "tcp" && proto != "udp" {
		return nil, fmt.Errorf("%q is not a protocol: there are tcp and udp", proto)
	}
	ip, hostPart, containerPart, err := split(rest)
	if err != nil {
		return nil, err
	}
	first, count, err := portRange(containerPart)
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
		return nil, fmt.Errorf("%d ports of the host cannot map to %d of the container",
			hosts, count)
	}
	return mappings(Mapping{proto, ip, uint16(host), uint16(first)}, count), nil
}

// mappings are count mappings, the first of which is given.
func mappings(m Mapping, count int) (list []Mapping) {
	for range count {
		list = append(list, m)
		m.Container++
		if m.Host > 0 {
			m.Host++
		}
	}
	return list
}

// split splits [[IP:][HOST]:]CONTAINER. The address is invalid where all are meant.
func split(spec string) (ip netip.Addr, host, container string, err error) {
	i := strings.LastIndexByte(spec, ':')
	host, container = spec[:max(i, 0)], spec[i+1:]
	if i = strings.LastIndexByte(host, ':'); i < 0 {
		return ip, host, container, nil
	}
	ip, err = netip.ParseAddr(strings.Trim(host[:i], "[]"))
	if err != nil || ip.Zone() != "" {
		return ip, "", "", fmt.Errorf("%q is not an address of the host, such as 127.0.0.1 or [::1]", host[:i])
	}
	return ip.Unmap(), host[i+1:], container, nil
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
		return 0, 0, fmt.Errorf("%q is not a port: one is a number from 1 to 65535, a range is two,"+
			" such as 8000-8009", s)
	case b-a >= Most:
		return 0, 0, fmt.Errorf("%q are more than %d ports", s, Most)
	}
	return int(a), int(b-a) + 1, nil
}
