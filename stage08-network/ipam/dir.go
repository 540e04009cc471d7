// The directory: a record for each network, and the leases of the addresses on it. Dir.Acquire
// gives a container an address, Dir.Release takes it back.

package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/nearest"
	"stagebox/stage04-unionfs/state"
)

// Network is a bridge and the addresses of the containers on it.
type Network struct {
	Name     string       `json:"name"`
	Bridge   string       `json:"bridge"`
	Subnet   netip.Prefix `json:"subnet"`
	Gateway  netip.Addr   `json:"gateway"`
	Subnet6  netip.Prefix `json:"subnet6,omitzero"`
	Gateway6 netip.Addr   `json:"gateway6,omitzero"`
	MTU      uint32       `json:"mtu"`
	Internal bool         `json:"internal,omitempty"` // no way out
	Netns    string       `json:"netns,omitempty"`    // where it was made: a link of /proc/PID/ns

	Labels map[string]string `json:"labels,omitempty"`

	Range netip.Prefix `json:"range,omitzero"` // of addresses to choose from, in the subnet
}

// isWhole reports whether a network that was read has all its fields.
func (n *Network) isWhole() bool {
	return n.Subnet.IsValid() && n.Subnet.Addr().Is4() && n.Gateway.Is4() &&
		n.Subnet6.IsValid() == n.Gateway6.IsValid() &&
		n.Bridge != "" && len(n.Bridge) < unix.IFNAMSIZ
}

// Netns names the network namespace of this process, as the link /proc/self/ns/net does.
func Netns() (string, error) { return os.Readlink("/proc/self/ns/net") }

// IsElsewhere reports whether the network was made in another network namespace.
func (n *Network) IsElsewhere() bool {
	ours, err := Netns()
	return err == nil && n.Netns != "" && n.Netns != ours
}

// IsLabel reports whether a name is short enough for the resolver's answers.
func IsLabel(name string) bool { return ids.IsName(name) && len(name) <= 63 }

// Dir is a directory of networks: NAME.json is a network, and NAME.leases has a line for each
// container in it.
type Dir struct {
	Path string
	Warn func(error) // gets the errors about networks that are left out
}

// File is a file of the directory.
func (d Dir) File(name string) string { return filepath.Join(d.Path, name) }

// Locked runs do while no other process changes anything.
func (d Dir) Locked(do func() error) error {
	if err := os.MkdirAll(d.Path, 0o755); err != nil {
		return err
	}
	alone, err := state.Lock(context.Background(), d.File("lock"), state.Exclusive)
	if err != nil {
		return err
	}
	defer alone.Close()
	if err := state.Sweep(d.Path); err != nil {
		return err
	}
	return do()
}

// ErrNoNetwork means that no network has a name.
var ErrNoNetwork = fault.NotFound.New("no such network")

// reserved are names that no network can have.
var reserved = []string{"none", "host", "container", "default"}

// Find reads a network.
func (d Dir) Find(name string) (*Network, error) {
	if !IsLabel(name) {
		return nil, fault.Invalid.Errorf("network %q: a name has letters, digits, and inside also _ . and -,"+
			" at most 63 in all", name)
	}
	n := &Network{}
	err := state.ReadJSON(d.File(name+".json"), n)
	if errors.Is(err, os.ErrNotExist) && slices.Contains(reserved, name) {
		return nil, fmt.Errorf("%w: %s; the word means something else for --network,"+
			" and no network can have it for a name", ErrNoNetwork, name)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s; box network ls lists those that exist,"+
			" box network create %s makes it%s", ErrNoNetwork, name, name, nearest.Hint(name, d.names()))
	}
	if err == nil && (n.Name != name || !n.isWhole()) {
		err = fmt.Errorf("%s is not the record of a network", d.File(name+".json"))
	}
	if err != nil {
		return nil, fmt.Errorf("%w; restore it, or remove the network: box network rm -f %s",
			err, name)
	}
	return n, nil
}

// names returns the names of all networks, sorted.
func (d Dir) names() (list []string) {
	files, _ := filepath.Glob(d.File("*.json"))
	for _, file := range files {
		list = append(list, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	return list
}

// List returns all networks, by name. One that is damaged is a warning, and left out.
func (d Dir) List() (list []*Network, err error) {
	for _, name := range d.names() {
		n, err := d.Find(name)
		if err != nil {
			d.Warn(err)
			continue
		}
		list = append(list, n)
	}
	return list, err
}

// Add records a network whose name is new. assign gives it its addresses, which must not overlap
// with those of the others. When dry, nothing is written.
func (d Dir) Add(n *Network, dry bool, assign func(others []*Network) error) error {
	if slices.Contains(reserved, n.Name) {
		return fmt.Errorf("network %s: the word means something else for --network;"+
			" choose another name", n.Name)
	}
	complete := func() error {
		switch _, err := d.Find(n.Name); {
		case err == nil:
			return fault.Conflict.Errorf("network %s exists already", n.Name)
		case !errors.Is(err, ErrNoNetwork):
			return err
		}
		others, err := d.List()
		if err != nil {
			return err
		}
		return assign(others)
	}
	if dry {
		return complete()
	}
	return d.Locked(func() error {
		if err := complete(); err != nil {
			return err
		}
		return state.WriteJSON(d.File(n.Name+".json"), n, state.Durable)
	})
}

// Remove removes the files of a network. The caller holds the lock.
func (d Dir) Remove(name string) error {
	return errors.Join(os.RemoveAll(d.LeaseFile(name)), os.RemoveAll(d.File(name+".json")))
}

// LeaseFile is the file with the leases of a network.
func (d Dir) LeaseFile(name string) string { return d.File(name + ".leases") }

// Leases reads the leases of a network. Those are live whose box holds the lock named by the
// container's id: also from another PID namespace, where numbers of processes mean nothing.
func (d Dir) Leases(n *Network) (live, dead []Lease, err error) {
	live, dead, err = Read(d.LeaseFile(n.Name), d.IsKept)
	if err != nil {
		err = fmt.Errorf("%w; restore it, or remove the network: box network rm -f %s", err, n.Name)
	}
	return live, dead, err
}

// IsKept reports whether a box that runs keeps the leases of a container, which may have none now.
func (d Dir) IsKept(id string) bool { return state.HeldName(d.File("keepers"), id) }

// Assign gives a lease the lowest free address, or the wanted one if that is valid, and the IPv6
// address with the same number if v6. It returns the other leases.
func (d Dir) Assign(n *Network, l *Lease, wanted netip.Addr, v6 bool) (
	live, dead []Lease, err error) {
	pool := Pool{Network: n.Name, Subnet: n.Subnet, Gateway: n.Gateway, Range: n.Range}
	if live, dead, err = d.Leases(n); err != nil {
		return nil, nil, err
	}
	number, err := pool.Free(live, wanted)
	if err != nil {
		return nil, nil, err
	}
	if l.Addr = Nth(n.Subnet, number); n.Subnet6.IsValid() && v6 {
		l.Addr6 = Nth(n.Subnet6, number)
	}
	return live, dead, nil
}

// Acquire gives a lease an address, as Assign does, and writes it down. The lease counts until held
// is closed. The network is read again first: if it was removed, the error is ErrNoNetwork. Leases of
// dead boxes are dropped, once release has undone what else those boxes left.
func (d Dir) Acquire(n *Network, l *Lease, wanted netip.Addr, v6 bool, release func([]Lease) error,
) (held *os.File, err error) {
	err = d.acquire(n, l, wanted, v6, release, func() (err error) {
		held, err = state.TryLockName(d.File("keepers"), l.ID, state.Exclusive)
		return err
	})
	return held, err
}

// AcquireMore gives a container that has a lease already one on another network.
func (d Dir) AcquireMore(n *Network, l *Lease, wanted netip.Addr, v6 bool,
	release func([]Lease) error) error {
	return d.acquire(n, l, wanted, v6, release, func() error { return nil })
}

func (d Dir) acquire(n *Network, l *Lease, wanted netip.Addr, v6 bool,
	release func([]Lease) error, hold func() error) error {
	return d.Locked(func() (err error) {
		now, err := d.Find(n.Name)
		if err != nil { // removed meanwhile
			return err
		}
		*n = *now // or removed, and made again
		live, dead, err := d.Assign(n, l, wanted, v6)
		if err != nil {
			return err
		}
		if err := release(dead); err != nil {
			return err
		}
		if err := hold(); err != nil {
			return fmt.Errorf("the lease of container %s: %w", l.Label(), err)
		}
		if slices.ContainsFunc(live, func(other Lease) bool { return other.ID == l.ID }) {
			return fmt.Errorf("container %s is on network %s already", l.Label(), n.Name)
		}
		return Write(d.LeaseFile(n.Name), append(live, *l))
	})
}

// Release ends the lease of a container.
func (d Dir) Release(n *Network, id string) error {
	return d.Locked(func() error {
		live, dead, err := d.Leases(n)
		if err != nil {
			return err
		}
		list := slices.DeleteFunc(append(live, dead...), func(l Lease) bool { return l.ID == id })
		return Write(d.LeaseFile(n.Name), list)
	})
}

// ReleaseAll ends the leases of a container on all networks. Before each ends, undo removes what
// belongs to it in the kernel.
func (d Dir) ReleaseAll(id string, undo func([]Lease) error) error {
	all, err := d.List()
	for _, n := range all {
		live, dead, errRead := d.Leases(n)
		isIts := func(l Lease) bool { return l.ID == id }
		if slices.ContainsFunc(append(live, dead...), isIts) {
			err = errors.Join(err, undo([]Lease{{ID: id}}), d.Release(n, id))
		}
		err = errors.Join(err, errRead)
	}
	return err
}

// Rename gives a container that is connected another name of its own.
func (d Dir) Rename(id, name string) error {
	list, err := d.List()
	if err != nil || len(list) == 0 {
		return err
	}
	return d.Locked(func() error {
		for _, n := range list {
			live, dead, err := d.Leases(n)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(live, func(l Lease) bool { return l.ID == id })
			if i < 0 || len(live[i].Names) == 0 {
				continue
			}
			live[i].Names[0] = name
			if err := Write(d.LeaseFile(n.Name), append(live, dead...)); err != nil {
				return err
			}
		}
		return nil
	})
}

// IsLeased reports whether any network has a live lease.
func (d Dir) IsLeased() (bool, error) {
	all, err := d.List()
	for _, n := range all {
		if live, _, err := d.Leases(n); err != nil || len(live) > 0 {
			return len(live) > 0, err
		}
	}
	return false, err
}

// ContainerOf names the container that a process keeps, "" if it has no lease.
func (d Dir) ContainerOf(pid int) string {
	all, err := d.List()
	if err != nil {
		return ""
	}
	keeper := Keeper(pid)
	for _, n := range all {
		live, _, err := d.Leases(n)
		i := slices.IndexFunc(live, func(l Lease) bool { return l.Keeper == keeper })
		if err == nil && i >= 0 {
			return "container " + live[i].Label()
		}
	}
	return ""
}
