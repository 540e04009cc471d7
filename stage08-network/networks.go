// What is known about networks, in plain files. NAME.json is a network; NAME.leases has a
// line for each container in it: address, IPv6 address or -, container, the box process that
// keeps it, and names. A lease counts as long as that process lives, so that none is lost
// when a box is killed. Changes are made under the lock on the file lock (flock(2)).
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage08-network/nft"
)

// networks is the directory of the files.
type networks string

// network is a bridge and the addresses that are given out on it.
type network struct {
	Name     string       `json:"name"`
	Bridge   string       `json:"bridge"`
	Subnet   netip.Prefix `json:"subnet"`
	Gateway  netip.Addr   `json:"gateway"`
	Subnet6  netip.Prefix `json:"subnet6,omitzero"`
	Gateway6 netip.Addr   `json:"gateway6,omitzero"`
	MTU      uint32       `json:"mtu"`
	Internal bool         `json:"internal,omitempty"` // no way out
	Netns    string       `json:"netns,omitempty"`    // where it was made: a link of /proc/PID/ns
}

// lease is an address and the container that has it.
type lease struct {
	addr, addr6 netip.Addr // addr6 may be invalid
	id          string
	keeper      string // PID@START of the box process, see keeperOf
	names       []string
}

// defaultNetwork is made when it is first needed.
const defaultNetwork = "bridge"

// isDNSLabel reports whether a name is short enough for the resolver's answers.
func isDNSLabel(name string) bool { return ids.IsName(name) && len(name) <= 63 }

// locked runs do while no other process changes anything.
func (dir networks) locked(do func() error) error {
	if err := os.MkdirAll(string(dir), 0o755); err != nil {
		return err
	}
	alone, err := state.Lock(context.Background(), dir.file("lock"), state.Exclusive)
	if err != nil {
		return err
	}
	defer alone.Close()
	if err := state.Sweep(string(dir)); err != nil {
		return err
	}
	return do()
}

func (dir networks) file(name string) string { return filepath.Join(string(dir), name) }

// replace writes a file under another name first, so that no reader sees half of it.
func (dir networks) replace(name string, data []byte) error {
	durability := state.Durable
	if strings.HasSuffix(name, ".leases") { // no box that keeps one outlives a power cut
		durability = state.Volatile
	}
	return state.Write(dir.file(name), data, 0o644, durability)
}

// errNoNetwork means that no network has a name.
var errNoNetwork = errors.New("there is no network")

// find reads a network.
func (dir networks) find(name string) (*network, error) {
	if !isDNSLabel(name) {
		return nil, fmt.Errorf("network %q: a name has letters, digits, and inside also _ . and -,"+
			" at the most 63 in all", name)
	}
	data, err := os.ReadFile(dir.file(name + ".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w %s: box network ls lists those that exist,"+
			" box network create %s makes it", errNoNetwork, name, name)
	}
	if err != nil {
		return nil, err
	}
	n := &network{}
	if err := json.Unmarshal(data, n); err != nil {
		return nil, fmt.Errorf("%s: %w", dir.file(name+".json"), err)
	}
	if !n.isWhole() {
		return nil, fmt.Errorf("%s is no network: remove the file", dir.file(name+".json"))
	}
	return n, nil
}

// isWhole reports whether a network that was read has what others rely on.
func (n *network) isWhole() bool {
	return n.Subnet.IsValid() && n.Subnet.Addr().Is4() && n.Gateway.Is4() &&
		n.Subnet6.IsValid() == n.Gateway6.IsValid() &&
		n.Bridge != "" && len(n.Bridge) < unix.IFNAMSIZ
}

// list are all networks, by name.
func (dir networks) list() ([]*network, error) {
	files, err := filepath.Glob(dir.file("*.json"))
	if err != nil {
		return nil, err
	}
	var list []*network
	for _, file := range files {
		n, err := dir.find(strings.TrimSuffix(filepath.Base(file), ".json"))
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

// create records a network, with a subnet that is free unless one is given. The bridge
// is made with the first container. Nothing is written when dry.
func (dir networks) create(name string, subnet netip.Prefix, internal, dry bool) (*network, error) {
	if slices.Contains([]string{"none", "host", "container", "default"}, name) {
		return nil, fmt.Errorf("network %s: the word means something else for --network;"+
			" choose another name", name)
	}
	netns, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	n := &network{Name: name, Bridge: dir.bridgeOf(name), Internal: internal, Netns: netns}
	if dry {
		return n, dir.complete(n, subnet)
	}
	return n, dir.locked(func() error {
		if err := dir.complete(n, subnet); err != nil {
			return err
		}
		data, err := json.MarshalIndent(n, "", "  ")
		if err != nil {
			return err
		}
		return dir.replace(name+".json", append(data, '\n'))
	})
}

// complete assigns the subnets of a network whose name is new.
func (dir networks) complete(n *network, subnet netip.Prefix) error {
	switch _, err := dir.find(n.Name); {
	case err == nil:
		return fmt.Errorf("network %s exists already", n.Name)
	case !errors.Is(err, errNoNetwork):
		return err
	}
	return dir.assignSubnets(n, subnet)
}

// bridgeOf is the name of a network's bridge: another one in every store of the host.
func (dir networks) bridgeOf(name string) string {
	if name == defaultNetwork && string(dir) == (Store{}).path("networks") {
		return "box0"
	}
	sum := sha256.Sum256([]byte(string(dir) + " " + name))
	return fmt.Sprintf("box-%x", sum[:4])
}

// assignSubnets chooses the addresses of a network: the first candidate that no route of the
// host's and no other network uses, or the one that is given, if it is free.
func (dir networks) assignSubnets(n *network, given netip.Prefix) error {
	routes, err := hostRoutes()
	if err != nil {
		return err
	}
	others, err := dir.list()
	if err != nil {
		return err
	}
	if n.MTU, err = uplinkMTU(routes); err != nil {
		return err
	}
	if n.Subnet, err = chooseSubnet(given, routes, others); err != nil {
		return err
	}
	n.Gateway = nth(n.Subnet, 1)
	if hasIPv6() {
		local := [16]byte{0xfd} // a unique local address: RFC 4193 wants 40 random bits
		rand.Read(local[1:6])
		n.Subnet6 = netip.PrefixFrom(netip.AddrFrom16(local), 64)
		n.Gateway6 = nth(n.Subnet6, 1)
	}
	return nil
}

// chooseSubnet checks the given subnet, or takes the first free one.
func chooseSubnet(given netip.Prefix, routes []routeInfo, others []*network) (netip.Prefix, error) {
	if !given.IsValid() {
		for _, s := range candidates() {
			if overlap(s, routes, others) == "" {
				return s, nil
			}
		}
		return given, errors.New("every subnet from 10.201.0.0/16 to 10.250.0.0/16 and from" +
			" 192.168.201.0/24 to 192.168.250.0/24 overlaps with something: give one with --subnet")
	}
	given = given.Masked()
	isForHosts := given.Bits() >= 8 && given.Bits() <= 29 && given.Addr().IsGlobalUnicast()
	if !given.Addr().Is4() || !isForHosts {
		return given, fmt.Errorf("--subnet %s: give an IPv4 subnet for hosts, from /8 to /29;"+
			" IPv6 comes by itself", given)
	}
	if other := overlap(given, routes, others); other != "" {
		return given, fmt.Errorf("--subnet %s overlaps with %s: choose another,"+
			" or leave --subnet out", given, other)
	}
	return given, nil
}

// candidates are subnets that are seldom in use elsewhere.
func candidates() (list []netip.Prefix) {
	for i := byte(201); i <= 250; i++ {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, i}), 16))
	}
	for i := byte(201); i <= 250; i++ {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, i}), 24))
	}
	return list
}

// overlap says what a subnet overlaps with, or nothing.
func overlap(s netip.Prefix, routes []routeInfo, others []*network) string {
	for _, n := range others {
		if s.Overlaps(n.Subnet) {
			return fmt.Sprintf("%s of network %s", n.Subnet, n.Name)
		}
	}
	for _, r := range routes {
		if r.to.Bits() > 0 && s.Overlaps(r.to) {
			return fmt.Sprintf("the host's route to %s", r.to.Masked())
		}
	}
	return ""
}

// nth is the address number i of a subnet.
func nth(subnet netip.Prefix, i uint32) netip.Addr {
	b := subnet.Masked().Addr().AsSlice()
	tail := b[len(b)-4:]
	binary.BigEndian.PutUint32(tail, binary.BigEndian.Uint32(tail)+i)
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// last is a subnet's broadcast address, as a number like nth's.
func last(subnet netip.Prefix) uint32 { return 1<<(32-subnet.Bits()) - 1 }

// leases are those whose keeper lives; dead are the others. Unless it has to be sure, a process
// that has got the number of a dead keeper counts as alive: a closer look takes twenty
// microseconds each, which would be felt with a hundred containers.
func (dir networks) leases(n *network, sure bool) (list, dead []lease, err error) {
	data, err := os.ReadFile(dir.file(n.Name + ".leases"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	for line := range strings.Lines(string(data)) {
		l, ok := parseLease(line)
		switch {
		case !ok: // a line that is not from box
		case l.alive(sure):
			list = append(list, l)
		default:
			dead = append(dead, l)
		}
	}
	return list, dead, nil
}

func parseLease(line string) (l lease, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 {
		return l, false
	}
	addr, err := netip.ParseAddr(fields[0])
	addr6, err6 := netip.ParseAddr(fields[1])
	ok = err == nil && addr.Is4() && (err6 == nil || fields[1] == "-")
	return lease{addr, addr6, fields[2], fields[3], fields[4:]}, ok
}

func (l lease) String() string {
	addr6 := "-"
	if l.addr6.IsValid() {
		addr6 = l.addr6.String()
	}
	fields := append([]string{l.addr.String(), addr6, l.id, l.keeper}, l.names...)
	return strings.Join(fields, " ") + "\n"
}

// writeLeases replaces the file.
func (dir networks) writeLeases(n *network, list []lease) error {
	slices.SortFunc(list, func(a, b lease) int { return a.addr.Compare(b.addr) })
	var text strings.Builder
	for _, l := range list {
		text.WriteString(l.String())
	}
	return dir.replace(n.Name+".leases", []byte(text.String()))
}

// acquire leases the lowest free address, or the wanted one, to this process's container, and
// removes what dead boxes have left. Nothing is written when dry.
func (dir networks) acquire(n *network, id string, wanted netip.Addr, names []string,
	dry bool) (l lease, err error) {
	l = lease{id: id, keeper: keeperOf(os.Getpid()), names: names}
	if dry {
		_, _, err := dir.assign(n, &l, wanted)
		return l, err
	}
	err = dir.locked(func() error {
		if _, err := dir.find(n.Name); err != nil { // removed meanwhile
			return err
		}
		list, dead, err := dir.assign(n, &l, wanted)
		if err != nil {
			return err
		}
		if err := unpublish(dead); err != nil {
			return err
		}
		return dir.writeLeases(n, append(list, l))
	})
	return l, err
}

// assign gives a lease its addresses, and returns the other leases.
func (dir networks) assign(n *network, l *lease, wanted netip.Addr) (
	list, dead []lease, err error) {
	if list, dead, err = dir.leases(n, false); err != nil {
		return nil, nil, err
	}
	number, err := freeNumber(n, list, wanted)
	if err != nil { // look closer
		if list, dead, err = dir.leases(n, true); err == nil {
			number, err = freeNumber(n, list, wanted)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if l.addr = nth(n.Subnet, number); n.Subnet6.IsValid() && hasIPv6() {
		l.addr6 = nth(n.Subnet6, number)
	}
	return list, dead, nil
}

// freeNumber is the number of the wanted address, or of the lowest free one; 0 and
// the last are not for hosts, and 1 is the gateway.
func freeNumber(n *network, list []lease, wanted netip.Addr) (uint32, error) {
	taken := map[netip.Addr]string{n.Gateway: "the gateway", nth(n.Subnet, 0): "the subnet itself",
		nth(n.Subnet, last(n.Subnet)): "broadcasts"}
	for _, l := range list {
		taken[l.addr] = "container " + l.label()
	}
	switch owner := taken[wanted]; {
	case wanted.IsValid() && !n.Subnet.Contains(wanted):
		return 0, fmt.Errorf("--ip %s is not in %s, the subnet of network %s",
			wanted, n.Subnet, n.Name)
	case owner != "":
		return 0, fmt.Errorf("--ip %s is taken: by %s", wanted, owner)
	case wanted.IsValid():
		b, base := wanted.As4(), n.Subnet.Masked().Addr().As4()
		return binary.BigEndian.Uint32(b[:]) - binary.BigEndian.Uint32(base[:]), nil
	}
	for i := uint32(2); i < last(n.Subnet); i++ {
		if taken[nth(n.Subnet, i)] == "" {
			return i, nil
		}
	}
	return 0, fmt.Errorf("network %s has no address left: all of %s are taken;"+
		" box network create --subnet makes a larger one", n.Name, n.Subnet)
}

// label is the name that a container is called by, or its id.
func (l lease) label() string {
	if len(l.names) > 0 {
		return l.names[0]
	}
	return l.id
}

// release ends the lease of a container.
func (dir networks) release(n *network, id string) error {
	return dir.locked(func() error {
		list, dead, err := dir.leases(n, false)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(append(list, dead...), func(l lease) bool { return l.id == id })
		return dir.writeLeases(n, list)
	})
}

// remove takes a network away: bridge, rules and files. With the last one goes the table,
// and the host's settings become what they were.
func (dir networks) remove(name string, force bool) error {
	n, err := dir.find(name)
	if err != nil {
		return err
	}
	return dir.locked(func() error {
		list, dead, err := dir.leases(n, true)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			return fmt.Errorf("network %s is in use by %s: stop them first", name, labels(list))
		}
		if err := dir.tearDown(n, dead, force); err != nil {
			return err
		}
		err = os.Remove(dir.file(name + ".leases"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return os.Remove(dir.file(name + ".json"))
	})
}

func labels(list []lease) string {
	users := make([]string, len(list))
	for i, l := range list {
		users[i] = l.label()
	}
	return strings.Join(users, ", ")
}

// isElsewhere reports whether a network was made in another network namespace than ours.
func (n *network) isElsewhere() bool {
	ours, err := os.Readlink("/proc/self/ns/net")
	return err == nil && n.Netns != "" && n.Netns != ours
}

// tearDown removes what a network has in the kernel, as far as it is there.
func (dir networks) tearDown(n *network, dead []lease, force bool) error {
	err := sendNetlink(unix.NETLINK_ROUTE, delLink(n.Bridge))
	gone := err != nil && strings.Contains(err.Error(), unix.ENODEV.Error())
	switch {
	case gone && !force && n.isElsewhere():
		return fmt.Errorf("network %s was made in another network namespace, %s, and may have its"+
			" bridge there: remove it from there, or forget it with --force", n.Name, n.Netns)
	case err != nil && !gone:
		return err
	}
	if there, err := hasTable(); err != nil || !there {
		return err
	}
	if err := unpublish(dead); err != nil {
		return err
	}
	return dir.tearDownRules(n)
}

// tearDownRules removes a network from the rules, and all of them with the last network.
func (dir networks) tearDownRules(n *network) error {
	bridges, err := elementsOf("bridges")
	if err != nil {
		return err
	}
	own := func(e nft.Element) bool { return nlString(e.Key) == n.Bridge }
	others := slices.ContainsFunc(bridges, func(e nft.Element) bool { return !own(e) })
	switch there := slices.ContainsFunc(bridges, own); {
	case there && others:
		return sendNat(natTable.DeleteElements(n.elements())...)
	case others: // no container of it has run since the host started
		return nil
	}
	if err := sendNat(natTable.Delete()); err != nil {
		return err
	}
	return dir.restoreSettings()
}

// forget removes what a box that was killed has left of a container.
func (dir networks) forget(id string) error {
	all, err := dir.list()
	if err != nil {
		return err
	}
	for _, n := range all {
		list, dead, err := dir.leases(n, false)
		if err != nil {
			return err
		}
		isIts := func(l lease) bool { return l.id == id }
		if !slices.ContainsFunc(append(list, dead...), isIts) {
			continue
		}
		if err := errors.Join(unpublish([]lease{{id: id}}), dir.release(n, id)); err != nil {
			return err
		}
	}
	return nil
}

// containerOf names the container that a box process keeps, if it has a lease.
func (dir networks) containerOf(pid int) string {
	all, err := dir.list()
	if err != nil {
		return ""
	}
	for _, n := range all {
		list, _, err := dir.leases(n, true)
		i := slices.IndexFunc(list, func(l lease) bool { return l.keeper == keeperOf(pid) })
		if err == nil && i >= 0 {
			return "container " + list[i].label()
		}
	}
	return ""
}

// tell prints a note for the user, once in the life of the networks.
func (dir networks) tell(note string) error {
	return dir.locked(func() error {
		told, err := os.ReadFile(dir.file("told"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if strings.Contains(string(told), note+"\n") {
			return nil
		}
		fmt.Fprintln(os.Stderr, "box:", note)
		return dir.replace("told", fmt.Append(told, note, "\n"))
	})
}

// keeperOf names a process so that no later one is taken for it: by its number and the
// time of its start, in clock ticks since boot, field 22 of /proc/PID/stat (proc(5)).
func keeperOf(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "-"
	}
	_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
	if fields := strings.Fields(rest); len(fields) > 19 {
		return fmt.Sprintf("%d@%s", pid, fields[19])
	}
	return "-"
}

// alive reports whether the box process that keeps a lease lives.
func (l lease) alive(sure bool) bool {
	number, _, _ := strings.Cut(l.keeper, "@")
	pid, err := strconv.Atoi(number)
	return err == nil && pid > 0 && unix.Kill(pid, 0) != unix.ESRCH &&
		(!sure || keeperOf(pid) == l.keeper)
}
