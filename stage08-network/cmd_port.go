// Published ports on the command line: what -p takes, and box port, which shows them.
package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

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
	ip, hostPart, containerPart, err := splitPublish(rest)
	if err != nil {
		return nil, err
	}
	m.ip = ip
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
		return nil, fmt.Errorf("%d ports of the host's cannot lead to %d of the container's", hosts, count)
	}
	var list []portMap
	for i := range count {
		if m.container = uint16(first + i); host > 0 {
			m.host = uint16(host + i)
		}
		list = append(list, m)
	}
	return list, nil
}

// splitPublish splits [[IP:][HOST]:]CTR. The address is invalid where all are meant.
func splitPublish(spec string) (ip netip.Addr, host, container string, err error) {
	i := strings.LastIndexByte(spec, ':')
	host, container = spec[:max(i, 0)], spec[i+1:]
	if i = strings.LastIndexByte(host, ':'); i < 0 {
		return ip, host, container, nil
	}
	ip, err = netip.ParseAddr(strings.Trim(host[:i], "[]"))
	if err != nil || ip.Zone() != "" {
		return ip, "", "", fmt.Errorf("%q is not an address of the host's:"+
			" give 127.0.0.1 or [::1], for example", host[:i])
	}
	if ip.IsUnspecified() {
		ip = netip.Addr{}
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

type portCmd struct {
	Name string `arg:"" name:"container" help:"A name, an id, or the beginning of one."`
	Port string `arg:"" optional:"" help:"The container's port: 80, or 53/udp."`

	Store
}

// Run is `box port`.
func (c *portCmd) Run() error {
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	if !r.isRunning() {
		return fmt.Errorf("container %s does not run: box start %s starts it", r.Name, r.Name)
	}
	var lines []string
	for _, published := range r.State.Ports {
		host, port, _ := strings.Cut(published, "->")
		switch {
		case c.Port == "":
			lines = append(lines, port+" -> "+host)
		case port == c.Port || port == c.Port+"/tcp":
			lines = append(lines, host)
		}
	}
	if c.Port != "" && lines == nil {
		return fmt.Errorf("container %s has not published its port %s: run -p does", r.Name, c.Port)
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
	return nil
}
