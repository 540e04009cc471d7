// Networks. Their records, and the leases of the addresses on them, are plain files, which the
// package ipam reads and writes. Here networks are made and removed together with the bridges and
// rules that belong to them in the kernel.

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/fault"
	"stagebox/stage08-network/attr"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/nft"
	"stagebox/stage08-network/rtnl"
	"stagebox/stage08-network/ruleset"
)

// networks are the networks of a store.
type networks struct{ ipam.Dir }

// networksIn are those whose files are in a directory.
func networksIn(path string) networks { return networks{ipam.Dir{Path: path, Warn: complain}} }

// defaultNetwork is made when it is first needed.
const defaultNetwork = ipam.Default

// create records a network that has a name, with a subnet that is free unless one is given. The
// bridge is made with the first container. Nothing is written when dry.
func (dir networks) create(n *ipam.Network, subnet netip.Prefix, dry bool) (err error) {
	if n.Netns, err = ipam.Netns(); err != nil {
		return err
	}
	n.Bridge = dir.bridgeOf(n.Name)
	return dir.Add(n, dry, func(others []*ipam.Network) error {
		return assignSubnets(n, subnet, others)
	})
}

// findOrCreate reads a network, or creates the default one.
func (dir networks) findOrCreate(name string, dry bool) (*ipam.Network, error) {
	n, err := dir.Find(name)
	if name != defaultNetwork || !errors.Is(err, ipam.ErrNoNetwork) {
		return n, err
	}
	n = &ipam.Network{Name: name}
	err = dir.create(n, netip.Prefix{}, dry)
	if again, gone := dir.Find(name); gone == nil { // another box was faster
		return again, nil
	}
	return n, err
}

// bridgeOf returns the name of a network's bridge, which differs between stores of one host.
func (dir networks) bridgeOf(name string) string {
	if name == defaultNetwork && dir.Path == (Store{}).path("networks") {
		return "box0"
	}
	sum := sha256.Sum256([]byte(dir.Path + " " + name))
	return fmt.Sprintf("box-%x", sum[:4])
}

// assignSubnets chooses the addresses of a network: the first candidate that no route of the
// host and no other network uses, or the given one, if it is free.
func assignSubnets(n *ipam.Network, given netip.Prefix, others []*ipam.Network) error {
	routes, err := hostRoutes()
	if err != nil {
		return err
	}
	links, err := hostLinks()
	if err != nil {
		return err
	}
	n.MTU = rtnl.UplinkMTU(routes, links)
	if n.Subnet, err = ipam.ChooseSubnet(given, ipam.InUse(others, routes)); err != nil {
		return err
	}
	if !n.Gateway.IsValid() {
		n.Gateway = ipam.Nth(n.Subnet, 1)
	}
	if rtnl.HasIPv6() {
		n.Subnet6 = ipam.UniqueLocal()
		n.Gateway6 = ipam.Nth(n.Subnet6, ipam.Number(n.Subnet, n.Gateway))
	}
	return nil
}

// acquire leases the lowest free address, or the wanted one, and removes the leases and ports of
// dead boxes. A container's first lease counts until held is closed, and so do its others. Nothing
// is written when dry.
func (dir networks) acquire(n *ipam.Network, l *ipam.Lease, wanted netip.Addr, isFirst, dry bool) (
	held *os.File, err error) {
	switch {
	case dry:
		_, _, err = dir.Assign(n, l, wanted, rtnl.HasIPv6())
	case isFirst:
		held, err = dir.Acquire(n, l, wanted, rtnl.HasIPv6(), unpublish)
	default:
		err = dir.AcquireMore(n, l, wanted, rtnl.HasIPv6(), unpublish)
	}
	return held, err
}

// remove removes a network: bridge, rules and files. With the last one goes the table, and the
// host's settings become what they were.
func (dir networks) remove(name string, force bool) error {
	n, err := dir.Find(name)
	if err != nil && force && ipam.IsLabel(name) && !errors.Is(err, ipam.ErrNoNetwork) { // damaged
		n, err = &ipam.Network{Name: name, Bridge: dir.bridgeOf(name)}, nil
	}
	if err != nil {
		return err
	}
	return dir.Locked(func() error {
		live, dead, err := dir.Leases(n)
		if err != nil && !force {
			return err
		}
		if len(live) > 0 {
			return fault.Forbidden.Errorf(
				"network %s is in use by %s: stop or disconnect its containers first",
				name, ipam.Labels(live))
		}
		if err := dir.tearDown(n, dead, force); err != nil {
			return err
		}
		return dir.Remove(name)
	})
}

// tearDown removes the bridge and the rules of a network, as far as they exist.
func (dir networks) tearDown(n *ipam.Network, dead []ipam.Lease, force bool) error {
	err := sendNetlink(unix.NETLINK_ROUTE, delLink(n.Bridge))
	gone := errors.Is(err, unix.ENODEV)
	switch {
	case gone && !force && n.IsElsewhere():
		return fmt.Errorf("network %s was made in another network namespace, %s, and may have its"+
			" bridge there: remove it from there, or forget it with --force", n.Name, n.Netns)
	case err != nil && !gone:
		return err
	}
	there, _, err := nat.Find()
	if errors.As(err, new(ruleset.NotOurs)) || err == nil && !there {
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

// tearDownRules removes a network from the rules, and all of them with the last network. The lock
// is this store's alone, so a box with another store may change the table meanwhile.
func (dir networks) tearDownRules(n *ipam.Network) error {
	for {
		generation, err := nat.Generation()
		if err != nil {
			return err
		}
		in, others, err := dir.networksInRules(n)
		switch {
		case err != nil:
			return err
		case !others:
			err = sendNatUnless(generation, natTable.Delete())
		case in:
			err = sendNatUnless(generation, natTable.DeleteElements(elementsFor(n))...)
		}
		switch {
		case errors.Is(err, unix.ERESTART): // look again
		case err != nil || others:
			return err
		default:
			return dir.restoreSettings()
		}
	}
}

// networksInRules reports whether a network is in the rules, which it is since a container of it
// was run, and whether others are.
func (dir networks) networksInRules(n *ipam.Network) (in, others bool, err error) {
	bridges, err := nat.Elements("bridges")
	if err != nil {
		return false, false, err
	}
	own := func(e nft.Element) bool { return attr.Text(e.Key) == n.Bridge }
	leased, err := dir.IsLeased() // that of a container which is being connected
	others = leased || slices.ContainsFunc(bridges, func(e nft.Element) bool { return !own(e) })
	return slices.ContainsFunc(bridges, own), others, err
}

// forget removes the leases and the ports that a killed box has left of a container.
func (dir networks) forget(id string) error { return dir.ReleaseAll(id, unpublish) }
