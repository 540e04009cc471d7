// Networks are plain files. NAME.json is a network, and NAME.leases has a line for each container
// in it, which the package ipam reads and writes. Here they are made, changed and removed, under
// a lock, with the bridges and rules that belong to them in the kernel.

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage08-network/attr"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/nft"
)

// networks is the directory of the files.
type networks string

// network is a bridge and the addresses of the containers on it.
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

// errNoNetwork means that no network has a name.
var errNoNetwork = errors.New("there is no network")

// find reads a network.
func (dir networks) find(name string) (*network, error) {
	if !isDNSLabel(name) {
		return nil, fmt.Errorf("network %q: a name has letters, digits, and inside also _ . and -,"+
			" at the most 63 in all", name)
	}
	n := &network{}
	err := state.ReadJSON(dir.file(name+".json"), n)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w %s: box network ls lists those that exist,"+
			" box network create %s makes it", errNoNetwork, name, name)
	}
	if err == nil && (n.Name != name || !n.isWhole()) {
		err = fmt.Errorf("%s is not the record of a network", dir.file(name+".json"))
	}
	if err != nil {
		return nil, fmt.Errorf("%w; restore it, or remove the network: box network rm -f %s",
			err, name)
	}
	return n, nil
}

// isWhole reports whether a network that was read has all its fields.
func (n *network) isWhole() bool {
	return n.Subnet.IsValid() && n.Subnet.Addr().Is4() && n.Gateway.Is4() &&
		n.Subnet6.IsValid() == n.Gateway6.IsValid() &&
		n.Bridge != "" && len(n.Bridge) < unix.IFNAMSIZ
}

// list returns all networks, by name. One that is damaged is reported, and left out.
func (dir networks) list() ([]*network, error) {
	files, err := filepath.Glob(dir.file("*.json"))
	if err != nil {
		return nil, err
	}
	var list []*network
	for _, file := range files {
		n, err := dir.find(strings.TrimSuffix(filepath.Base(file), ".json"))
		if complain(err); err == nil {
			list = append(list, n)
		}
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
		return state.WriteJSON(dir.file(name+".json"), n, state.Durable)
	})
}

// findOrCreate reads a network, or creates the default one.
func (dir networks) findOrCreate(name string, dry bool) (*network, error) {
	n, err := dir.find(name)
	if name != defaultNetwork || !errors.Is(err, errNoNetwork) {
		return n, err
	}
	n, err = dir.create(name, netip.Prefix{}, false, dry)
	if again, gone := dir.find(name); gone == nil { // another box was faster
		return again, nil
	}
	return n, err
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

// bridgeOf returns the name of a network's bridge, which differs between stores of one host.
func (dir networks) bridgeOf(name string) string {
	if name == defaultNetwork && string(dir) == (Store{}).path("networks") {
		return "box0"
	}
	sum := sha256.Sum256([]byte(string(dir) + " " + name))
	return fmt.Sprintf("box-%x", sum[:4])
}

// assignSubnets chooses the addresses of a network: the first candidate that no route of the
// host and no other network uses, or the given one, if it is free.
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
	if n.Subnet, err = ipam.ChooseSubnet(given, inUse(others, routes)); err != nil {
		return err
	}
	n.Gateway = ipam.Nth(n.Subnet, 1)
	if hasIPv6() {
		n.Subnet6 = ipam.UniqueLocal()
		n.Gateway6 = ipam.Nth(n.Subnet6, 1)
	}
	return nil
}

// inUse lists the addresses that a new network cannot have.
func inUse(others []*network, routes []routeInfo) (uses []ipam.Use) {
	for _, n := range others {
		by := fmt.Sprintf("%s of network %s", n.Subnet, n.Name)
		uses = append(uses, ipam.Use{Prefix: n.Subnet, By: by})
	}
	for _, r := range routes {
		if r.to.Bits() > 0 {
			by := fmt.Sprintf("the host's route to %s", r.to.Masked())
			uses = append(uses, ipam.Use{Prefix: r.to, By: by})
		}
	}
	return uses
}

func (dir networks) leaseFile(n *network) string { return dir.file(n.Name + ".leases") }

// leases reads the leases of a network. Those count whose box holds the lock named by the
// container's id: also from another PID namespace, where numbers of processes mean nothing.
func (dir networks) leases(n *network) (live, dead []ipam.Lease, err error) {
	live, dead, err = ipam.Read(dir.leaseFile(n), func(id string) bool {
		return state.HeldName(dir.file("keepers"), id)
	})
	if err != nil {
		err = fmt.Errorf("%w; restore it, or remove the network: box network rm -f %s", err, n.Name)
	}
	return live, dead, err
}

// acquire leases the lowest free address, or the wanted one, to this process's container, and
// removes the leases and ports of dead boxes. The lease counts until held is closed. Nothing is
// written when dry, and held is nil.
func (dir networks) acquire(n *network, id string, wanted netip.Addr, names []string,
	dry bool) (l ipam.Lease, held *os.File, err error) {
	l = ipam.Lease{ID: id, Keeper: ipam.Keeper(os.Getpid()), Names: names}
	if dry {
		_, _, err := dir.assign(n, &l, wanted)
		return l, nil, err
	}
	err = dir.locked(func() error {
		now, err := dir.find(n.Name)
		if err != nil { // removed meanwhile
			return err
		}
		*n = *now // or removed, and made again
		live, dead, err := dir.assign(n, &l, wanted)
		if err != nil {
			return err
		}
		if err := unpublish(dead); err != nil {
			return err
		}
		held, err = state.TryLockName(dir.file("keepers"), id, state.Exclusive)
		if err != nil {
			return fmt.Errorf("the lease of container %s: %w", l.Label(), err)
		}
		return ipam.Write(dir.leaseFile(n), append(live, l))
	})
	return l, held, err
}

// assign gives a lease its addresses, and returns the other leases.
func (dir networks) assign(n *network, l *ipam.Lease, wanted netip.Addr) (
	live, dead []ipam.Lease, err error) {
	pool := ipam.Pool{Network: n.Name, Subnet: n.Subnet, Gateway: n.Gateway}
	if live, dead, err = dir.leases(n); err != nil {
		return nil, nil, err
	}
	number, err := pool.Free(live, wanted)
	if err != nil {
		return nil, nil, err
	}
	if l.Addr = ipam.Nth(n.Subnet, number); n.Subnet6.IsValid() && hasIPv6() {
		l.Addr6 = ipam.Nth(n.Subnet6, number)
	}
	return live, dead, nil
}

// release ends the lease of a container.
func (dir networks) release(n *network, id string) error {
	return dir.locked(func() error {
		live, dead, err := dir.leases(n)
		if err != nil {
			return err
		}
		list := append(live, dead...)
		list = slices.DeleteFunc(list, func(l ipam.Lease) bool { return l.ID == id })
		return ipam.Write(dir.leaseFile(n), list)
	})
}

// rename gives a container that is connected another name of its own.
func (dir networks) rename(id, name string) error {
	list, err := dir.list()
	if err != nil || len(list) == 0 {
		return err
	}
	return dir.locked(func() error {
		for _, n := range list {
			live, dead, err := dir.leases(n)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(live, func(l ipam.Lease) bool { return l.ID == id })
			if i < 0 || len(live[i].Names) == 0 {
				continue
			}
			live[i].Names[0] = name
			if err := ipam.Write(dir.leaseFile(n), append(live, dead...)); err != nil {
				return err
			}
		}
		return nil
	})
}

// remove removes a network: bridge, rules and files. With the last one goes the table, and the
// host's settings become what they were.
func (dir networks) remove(name string, force bool) error {
	n, err := dir.find(name)
	if err != nil && force && isDNSLabel(name) && !errors.Is(err, errNoNetwork) { // damaged
		n, err = &network{Name: name, Bridge: dir.bridgeOf(name)}, nil
	}
	if err != nil {
		return err
	}
	return dir.locked(func() error {
		live, dead, err := dir.leases(n)
		if err != nil && !force {
			return err
		}
		if len(live) > 0 {
			return fmt.Errorf("network %s is in use by %s: stop them first",
				name, ipam.Labels(live))
		}
		if err := dir.tearDown(n, dead, force); err != nil {
			return err
		}
		return errors.Join(os.RemoveAll(dir.leaseFile(n)), os.RemoveAll(dir.file(name+".json")))
	})
}

// isElsewhere reports whether a network was made in another network namespace.
func (n *network) isElsewhere() bool {
	ours, err := os.Readlink("/proc/self/ns/net")
	return err == nil && n.Netns != "" && n.Netns != ours
}

// tearDown removes the bridge and the rules of a network, as far as they exist.
func (dir networks) tearDown(n *network, dead []ipam.Lease, force bool) error {
	err := sendNetlink(unix.NETLINK_ROUTE, delLink(n.Bridge))
	gone := errors.Is(err, unix.ENODEV)
	switch {
	case gone && !force && n.isElsewhere():
		return fmt.Errorf("network %s was made in another network namespace, %s, and may have its"+
			" bridge there: remove it from there, or forget it with --force", n.Name, n.Netns)
	case err != nil && !gone:
		return err
	}
	there, _, err := findTable()
	if errors.Is(err, errNotOurs) || err == nil && !there {
		return nil
	}
	if err != nil {
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
	own := func(e nft.Element) bool { return attr.Text(e.Key) == n.Bridge }
	others, err := dir.isLeased() // that of a container which is being connected
	if err != nil {
		return err
	}
	others = others || slices.ContainsFunc(bridges, func(e nft.Element) bool { return !own(e) })
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

// isLeased reports whether any network has a live lease.
func (dir networks) isLeased() (bool, error) {
	all, err := dir.list()
	for _, n := range all {
		if live, _, err := dir.leases(n); err != nil || len(live) > 0 {
			return len(live) > 0, err
		}
	}
	return false, err
}

// forget removes the lease and the ports that a killed box has left of a container.
func (dir networks) forget(id string) error {
	all, err := dir.list()
	for _, n := range all {
		live, dead, errRead := dir.leases(n)
		isIts := func(l ipam.Lease) bool { return l.ID == id }
		if slices.ContainsFunc(append(live, dead...), isIts) {
			err = errors.Join(err, unpublish([]ipam.Lease{{ID: id}}), dir.release(n, id))
		}
		err = errors.Join(err, errRead)
	}
	return err
}

// containerOf names the container that a box process keeps, if it has a lease.
func (dir networks) containerOf(pid int) string {
	all, err := dir.list()
	if err != nil {
		return ""
	}
	keeper := ipam.Keeper(pid)
	for _, n := range all {
		live, _, err := dir.leases(n)
		i := slices.IndexFunc(live, func(l ipam.Lease) bool { return l.Keeper == keeper })
		if err == nil && i >= 0 {
			return "container " + live[i].Label()
		}
	}
	return ""
}
