package portmap

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/proxy"
)

// Explain returns an error of Listen in more words: which process has the port already, or what
// else is wrong. container returns the name of the container that a process keeps, or "" for other
// processes.
func (m Mapping) Explain(err error, container func(pid int) string) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE) && m.Host == 0:
		return fmt.Errorf("%w: no port of the host is free for both IPv4 and IPv6 in sysctl"+
			" net.ipv4.ip_local_port_range", err)
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("port %d/%s of the host is in use by %s: choose another,"+
			" or let box choose, with -p %d",
			m.Host, m.Protocol, portUser(m.Protocol, m.Host, container), m.Container)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("port %d needs root: ports of ordinary users start at sysctl"+
			" net.ipv4.ip_unprivileged_port_start", m.Host)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s is not an address of this host: see ip addr", m.IP)
	}
	return err
}

// portUser names the container that uses a port, or else the process.
func portUser(proto string, port uint16, container func(pid int) string) string {
	pid, command := proxy.User(proto, port)
	if pid == 0 {
		return "something that cannot be seen from here"
	}
	if name := container(pid); name != "" {
		return name
	}
	return fmt.Sprintf("%s (process %d)", command, pid)
}
