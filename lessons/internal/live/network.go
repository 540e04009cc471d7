// The networks: /proc/PID/net shows the network namespace of a process without entering it.
// dev has the interfaces, fib_trie and if_inet6 the addresses, route which of them is where,
// tcp who listens. The numbers of interfaces are in the sysfs that was mounted in that
// namespace, which a box that has one shows as /proc/PID/root/sys. proc_pid_net(5).
package live

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Network is a network namespace.
type Network struct {
	Inode      uint64      `json:"inode"`
	Host       bool        `json:"host"`
	Boxes      []string    `json:"boxes"`
	Interfaces []Interface `json:"interfaces"`
	Elsewhere  []string    `json:"elsewhere"` // addresses of interfaces that are not known
	Gateways   []string    `json:"gateways"`  // "10.0.0.1 by eth0"
	Listening  []string    `json:"listening"` // TCP, of boxes only
	HeldBy     string      `json:"heldBy,omitempty"`

	received, sent int64 // over all interfaces but loopback
}

// Interface is one network interface. Its numbers are 0 where they are not seen.
type Interface struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind"` // "loopback", "bridge", "cable" or ""
	Index     int      `json:"index"`
	Peer      int      `json:"peer"`             // the index of a cable's other end, in its namespace
	Bridge    string   `json:"bridge,omitempty"` // that it is plugged into
	Addresses []string `json:"addresses"`

	received, sent int64
}

// networks are those that have processes, and those that a mount keeps alive without any.
func (r Roots) networks(t table, groups []*group) []Network {
	host := r.network(t.host, t.host.spaces[netNS])
	host.Host = true
	all := []Network{host}
	for _, g := range groups {
		i := slices.IndexFunc(all, func(n Network) bool { return n.Inode == g.spaces[netNS] })
		if i < 0 {
			i = len(all)
			n := r.network(process{g.pids[0], g.spaces}, g.spaces[netNS])
			n.Listening = r.listening(g.pids[0])
			all = append(all, n)
		}
		all[i].Boxes = append(all[i].Boxes, g.id)
	}
	return append(all, r.held(t.host.pid, all)...)
}

// held are namespaces that are mounted somewhere, as ip-netns(8) does it, and have no process.
func (r Roots) held(pid int, known []Network) (found []Network) {
	for _, m := range r.mounts(strconv.Itoa(pid)) {
		n := inode(m.root)
		if m.fstype != "nsfs" || !strings.HasPrefix(m.root, "net:[") ||
			slices.ContainsFunc(slices.Concat(known, found), func(k Network) bool { return k.Inode == n }) {
			continue
		}
		found = append(found, Network{Inode: n, HeldBy: m.at, Boxes: []string{}, Interfaces: []Interface{},
			Elsewhere: []string{}, Gateways: []string{}, Listening: []string{}})
	}
	return found
}

// network reads one by a process in it.
func (r Roots) network(p process, inode uint64) Network {
	pid := strconv.Itoa(p.pid)
	n := Network{Inode: inode, Boxes: []string{}, Interfaces: r.interfaces(pid), Elsewhere: []string{}, Gateways: []string{}, Listening: []string{}}
	r.indices(pid, n.Interfaces)
	r.number(p.pid, n.Interfaces)
	routes := r.routes(pid)
	for _, route := range routes {
		if route.gateway.IsValid() && route.to.Bits() == 0 {
			n.Gateways = append(n.Gateways, route.gateway.String()+" by "+route.by)
		}
	}
	for _, address := range r.addresses4(pid) {
		n.place(address, routes)
	}
	r.addresses6(pid, n.Interfaces)
	for i, link := range n.Interfaces {
		if link.Name != "lo" {
			n.received, n.sent = n.received+link.received, n.sent+link.sent
		}
		n.Interfaces[i].Addresses = append([]string{}, link.Addresses...)
	}
	return n
}

// interfaces reads /proc/PID/net/dev: two lines of headings, then a line each with the name,
// eight numbers for what was received, the first of them bytes, and eight for what was sent.
func (r Roots) interfaces(pid string) []Interface {
	all := []Interface{}
	for _, line := range r.lines(pid, "net/dev") {
		name, rest, _ := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if len(f) < 16 {
			continue
		}
		link := Interface{Name: strings.TrimSpace(name), received: number(f[0]), sent: number(f[8])}
		if link.Name == "lo" {
			link.Kind = "loopback"
		}
		all = append(all, link)
	}
	slices.SortStableFunc(all, func(a, b Interface) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// indices reads /proc/PID/net/dev_mcast, where a line begins with an interface's number and
// its name. It has those that take part in multicast, which is most.
func (r Roots) indices(pid string, links []Interface) {
	for _, line := range r.lines(pid, "net/dev_mcast") {
		f := strings.Fields(line)
		for i := range links {
			if len(f) > 1 && f[1] == links[i].Name {
				links[i].Index = int(number(f[0]))
			}
		}
	}
}

// number fills in what sysfs says of the interfaces, if there is one of this namespace.
func (r Roots) number(pid int, links []Interface) {
	dir := r.sysfs(pid, links)
	if dir == "" {
		return
	}
	for i := range links {
		link, at := &links[i], filepath.Join(dir, links[i].Name)
		link.Index, link.Peer = r.integer(at+"/ifindex"), r.integer(at+"/iflink")
		if bridge, err := os.Readlink(at + "/master"); err == nil {
			link.Bridge = filepath.Base(bridge)
		}
		switch {
		case exists(at + "/bridge"):
			link.Kind = "bridge"
		case link.Kind == "" && link.Peer != link.Index:
			link.Kind = "cable"
		}
		if link.Kind != "cable" {
			link.Peer = 0
		}
	}
}

// sysfs is the class/net that shows the interfaces of a process: ours, or the one that is
// mounted in the process's own tree. What else a box may have put at /sys is not looked at.
func (r Roots) sysfs(pid int, links []Interface) string {
	ours := filepath.Join(r.Sys, "class/net")
	theirs := filepath.Join(r.Proc, strconv.Itoa(pid), "root/sys/class/net")
	if r.hasSysfs(pid) && shows(theirs, links) {
		return theirs
	}
	if shows(ours, links) {
		return ours
	}
	return ""
}

// hasSysfs is true when a sysfs is what a process finds at /sys.
func (r Roots) hasSysfs(pid int) bool {
	found := false
	for _, m := range r.mounts(strconv.Itoa(pid)) {
		if m.at == "/sys" {
			found = m.fstype == "sysfs"
		}
		if m.at == "/sys/class" || strings.HasPrefix(m.at, "/sys/class/") {
			return false
		}
	}
	return found
}

// shows is true for a directory with these interfaces and no others.
func shows(dir string, links []Interface) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	n := 0
	for _, entry := range entries {
		if entry.Name() == "bonding_masters" {
			continue
		}
		n++
		if !slices.ContainsFunc(links, func(l Interface) bool { return l.Name == entry.Name() }) {
			return false
		}
	}
	return n == len(links)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func (r Roots) integer(name string) int {
	data, _ := os.ReadFile(name)
	return int(number(strings.TrimSpace(string(data))))
}

// listening are the TCP ports that wait for connections. The kernel lists them first; what
// comes after is not read. To list them it searches all sockets of the machine, so it is asked
// only where sockstat counts any: TCP: inuse 1 orphan 0 …
func (r Roots) listening(pid int) []string {
	ports := []string{}
	dir := filepath.Join(r.Proc, strconv.Itoa(pid), "net")
	for file, count := range map[string]string{"tcp": "sockstat", "tcp6": "sockstat6"} {
		if used, _ := os.ReadFile(filepath.Join(dir, count)); !inUse.Match(used) {
			continue
		}
		for _, line := range firstLines(filepath.Join(dir, file)) {
			f := strings.Fields(line)
			if len(f) < 4 || f[3] != "0A" {
				continue
			}
			_, hex, _ := strings.Cut(f[1], ":")
			port, err := strconv.ParseUint(hex, 16, 16)
			if text := fmt.Sprint(port); err == nil && !slices.Contains(ports, text) {
				ports = append(ports, text)
			}
		}
	}
	slices.Sort(ports)
	return ports
}

var inUse = regexp.MustCompile(`(?m)^TCP6?: inuse [1-9]`)

// firstLines are those in the first 16 KiB of a file.
func firstLines(name string) []string {
	file, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	buf := make([]byte, 16<<10)
	n, _ := file.Read(buf)
	return strings.Split(string(buf[:n]), "\n")
}

// place gives an address to the interface that its network is reached by.
func (n *Network) place(address netip.Addr, routes []route) {
	by, bits, apart := "", -1, 0
	for _, route := range routes {
		if !route.gateway.IsValid() && route.to.Contains(address) && route.to.Bits() > bits {
			by, bits = route.by, route.to.Bits()
		}
	}
	for _, link := range n.Interfaces {
		if link.Name != "lo" {
			apart++
			if by == "" && !address.IsLoopback() {
				by = link.Name
			}
		}
	}
	if address.IsLoopback() {
		by, bits = "lo", 8
	}
	i := slices.IndexFunc(n.Interfaces, func(l Interface) bool { return l.Name == by })
	text := address.String()
	switch {
	case i < 0 || bits < 0 && apart > 1:
		n.Elsewhere = append(n.Elsewhere, text)
		return
	case bits >= 0:
		text += fmt.Sprintf("/%d", bits)
	}
	n.Interfaces[i].Addresses = append(n.Interfaces[i].Addresses, text)
}
