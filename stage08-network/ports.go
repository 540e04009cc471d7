// Published ports: -p [IP:]HOST:CTR[/udp]. The kernel redirects packets to the container
// (nat.go), and box listens on the port too, for three reasons: nobody else can take it by
// mistake, ss(8) shows who has it, and what comes to ::1 has to be passed on by hand, since
// IPv6 lets no packet with that address leave the host's loopback interface. It ends with
// box, also after SIGKILL.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
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

// door is a port of the host's that box holds open.
type door struct {
	tcp net.Listener
	udp *net.UDPConn
	to  string
}

// open takes the port on the host, on both families unless an address says which. The first
// chooses the number, if none was given.
func (m *portMap) open(l lease, dir networks) (doors []*door, err error) {
	families := []string{"4", "6"}
	switch {
	case m.ip.Is4() || !m.ip.IsValid() && !hasIPv6():
		families = families[:1]
	case m.ip.Is6():
		families = families[1:]
	}
	for _, family := range families {
		d := &door{to: netip.AddrPortFrom(l.addr, m.box).String()}
		if err := d.listen(m, family); err != nil {
			closeAll(doors)
			return nil, m.explain(err, dir)
		}
		doors = append(doors, d)
	}
	return doors, nil
}

func (d *door) listen(m *portMap, family string) (err error) {
	on := net.JoinHostPort(map[bool]string{true: m.ip.String()}[m.ip.IsValid()], strconv.Itoa(int(m.host)))
	if m.proto == "udp" {
		var packets net.PacketConn
		if packets, err = net.ListenPacket("udp"+family, on); err == nil {
			d.udp = packets.(*net.UDPConn)
			m.host = uint16(d.udp.LocalAddr().(*net.UDPAddr).Port)
		}
		return err
	}
	if d.tcp, err = net.Listen("tcp"+family, on); err == nil {
		m.host = uint16(d.tcp.Addr().(*net.TCPAddr).Port)
	}
	return err
}

// explain says who has a port, where that can be known.
func (m *portMap) explain(err error, dir networks) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		who := portUser(m.proto, m.host, dir)
		if who == "" {
			who = "something that cannot be seen from here"
		}
		return fmt.Errorf("port %d/%s of the host is in use by %s: choose another, or let box choose, with -p %d", m.host, m.proto, who, m.box)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("port %d is for root alone: an ordinary user's start at sysctl net.ipv4.ip_unprivileged_port_start", m.host)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this host: see ip addr", m.ip)
	}
	return err
}

func closeAll(doors []*door) {
	for _, d := range doors {
		if d.tcp != nil {
			d.tcp.Close()
		} else {
			d.udp.Close()
		}
	}
}

// serve passes on what comes to the port itself.
func (d *door) serve() {
	if d.udp != nil {
		d.passPackets()
		return
	}
	for {
		client, err := d.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors left, perhaps: the next one may find some
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go passStream(client.(*net.TCPConn), d.to)
	}
}

// passStream connects a client and a container, each direction until its own end.
func passStream(client *net.TCPConn, to string) {
	defer client.Close()
	conn, err := net.DialTimeout("tcp", to, 10*time.Second)
	if err != nil {
		client.SetLinger(0) // the client sees a connection that is refused
		return
	}
	defer conn.Close()
	inside := conn.(*net.TCPConn)
	var both sync.WaitGroup
	pass := func(to, from *net.TCPConn) {
		io.Copy(to, from) // an error ends the stream, which is all that can be told
		to.CloseWrite()
	}
	both.Go(func() { pass(inside, client) })
	both.Go(func() { pass(client, inside) })
	both.Wait()
}

// passPackets keeps a socket for each client, for its answers, until it is idle for a minute.
func (d *door) passPackets() {
	var lock sync.Mutex
	clients := map[netip.AddrPort]net.Conn{}
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := d.udp.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		lock.Lock()
		inside := clients[from]
		if inside == nil && len(clients) < mostPorts {
			if inside, err = net.Dial("udp", d.to); err == nil {
				clients[from] = inside
				go func() {
					d.answer(inside, from)
					lock.Lock()
					delete(clients, from)
					lock.Unlock()
				}()
			}
		}
		lock.Unlock()
		if inside != nil && err == nil {
			inside.Write(buffer[:n]) // a packet may be lost
		}
	}
}

func (d *door) answer(inside net.Conn, to netip.AddrPort) {
	defer inside.Close()
	buffer := make([]byte, 1<<16)
	for {
		inside.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := inside.Read(buffer)
		if err != nil {
			return
		}
		d.udp.WriteToUDPAddrPort(buffer[:n], to)
	}
}

// portUser names the process that has a port, from /proc/net/tcp or udp, where a socket has
// a number, and /proc/PID/fd, where that number is found again (proc(5)).
func portUser(proto string, port uint16, dir networks) string {
	for _, file := range []string{proto, proto + "6"} {
		f, err := os.Open("/proc/thread-self/net/" + file)
		if err != nil {
			continue // a host without IPv6
		}
		inode := socketOn(f, proto, port)
		f.Close()
		if inode == "" {
			continue
		}
		fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
		if err != nil {
			return ""
		}
		for _, fd := range fds {
			if link, err := os.Readlink(fd); err == nil && link == "socket:["+inode+"]" {
				pid := strings.Split(fd, "/")[2]
				if number, err := strconv.Atoi(pid); err == nil && dir.containerOf(number) != "" {
					return dir.containerOf(number)
				}
				name, err := os.ReadFile("/proc/" + pid + "/comm")
				if err != nil {
					name = []byte("?")
				}
				return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
			}
		}
	}
	return ""
}

// socketOn finds the inode of a socket that listens: "sl local remote state … inode".
func socketOn(r io.Reader, proto string, port uint16) string {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || proto == "tcp" && fields[3] != "0A" {
			continue
		}
		_, hexPort, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(hexPort, 16, 16); err == nil && uint16(n) == port {
			return fields[9]
		}
	}
	return ""
}
