// The networks of a container may change while it runs. A cable is as easily made later as at the
// start: a veth pair, one end in the bridge, the other in the container's network namespace, which
// this box enters for a moment to configure it. The new lease counts as long as the container runs,
// since the box that stays with it holds the lock for all its leases.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/rtnl"
)

// plugIn connects a container that runs.
func (r *Record) plugIn(wish ipam.Wish) (err error) {
	runtime.LockOSThread() // the thread enters the container's network
	l := &link{dir: r.store.networks(), id: r.ID}
	all, err := l.dir.PlacesOf(r.ID)
	if err != nil || !l.dir.IsKept(r.ID) {
		return errors.Join(err, fmt.Errorf("container %s is on no network", r.Name))
	}
	if err := r.leaseOne(l, wish, all); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.unpublish(), l.dir.Release(l.network, r.ID))
		}
	}()
	if l.wayOut { // through which the ports may be published again
		if l.Ports, err = portmap.Reread(r.State.Withdrawn); err != nil {
			return err
		}
	}
	if l.inside, err = rtnl.FreeName(r.State.PID); err != nil {
		return err
	}
	if err = l.plugInto(r.State.PID); err == nil {
		err = r.renumber(ipam.Lease{}, l.lease)
	}
	if err != nil {
		return errors.Join(err, l.leaveNetns(), l.removeVeth())
	}
	if !l.wayOut && len(all) > 0 {
		return nil
	}
	return r.noteWay(l.lease.Addr.String(), l.wayOut)
}

// leaseOne leases an address on one network more than all that the container is on. The way out
// leads through it if none leads out yet.
func (r *Record) leaseOne(l *link, wish ipam.Wish, all []ipam.Place) (err error) {
	who := endpoint{id: r.ID, name: r.Name, hostname: r.Run.Hostname}
	who.keeper = "-" // unknown, if it has left all networks
	if len(all) > 0 {
		who.keeper = all[0].Lease.Keeper
	}
	l.attachment, err = l.allocate(wish, who)
	if err != nil {
		return err
	}
	l.wayOut = !l.network.Internal && !slices.ContainsFunc(all, ipam.Place.LeadsOut)
	return nil
}

// plugInto prepares the host's side, and plugs the link into the network of a process.
func (l *link) plugInto(pid int) error {
	there, err := nat.Ready(false)
	bridge, veth := hostPlan(), hostPlan()
	if err = cmp.Or(err, l.enableForwarding(bridge)); err != nil {
		return err
	}
	l.prepareBridge(bridge, &l.attachment, there)
	if err := bridge.Perform(nil); err != nil {
		return err
	}
	l.addVeth(veth, strconv.Itoa(pid))
	return veth.Perform(nil)
}

// removeVeth removes a cable that could not be plugged in completely.
func (l *link) removeVeth() error {
	err := sendNetlink(unix.NETLINK_ROUTE, delLink(l.veth))
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// unplug removes the cable of a container that runs. The end inside goes with that in the bridge,
// and so do the routes that lead through it.
func (r *Record) unplug(name string) error {
	dir := r.store.networks()
	n, err := dir.Find(name)
	if err != nil {
		return err
	}
	veth, err := vethOf(n, r.ID)
	if err != nil {
		return err
	}
	all, err := dir.PlacesOf(r.ID)
	if err != nil {
		return err
	}
	var gone ipam.Lease
	rest := slices.DeleteFunc(all, func(p ipam.Place) bool {
		if p.Network.Name != name {
			return false
		}
		gone = p.Lease
		return true
	})
	err = sendNetlink(unix.NETLINK_ROUTE, delLink(veth))
	err = errors.Join(err, dir.Release(n, r.ID), r.renumber(gone, ipam.Lease{}))
	if err != nil || gone.Addr.String() != r.State.Address {
		return err
	}
	return r.leadElsewhere(rest)
}

// leadElsewhere lets the way out and the published ports of a container that runs lead through
// another network. If none leads out, the ports are withdrawn until one does.
func (r *Record) leadElsewhere(rest []ipam.Place) (err error) {
	l := &link{dir: r.store.networks(), id: r.ID}
	if l.Ports, err = portmap.Reread(r.State.Ports); err != nil {
		return err
	}
	if err := l.unpublish(); err != nil {
		return err
	}
	next := slices.IndexFunc(rest, ipam.Place.LeadsOut)
	switch {
	case next < 0 && len(rest) == 0:
		return r.noteWay("", false)
	case next < 0:
		return r.noteWay(rest[0].Lease.Addr.String(), false)
	}
	l.network, l.lease = rest[next].Network, rest[next].Lease
	if err := l.leadOut(strconv.Itoa(r.State.PID)); err != nil {
		return err
	}
	return r.noteWay(l.lease.Addr.String(), true)
}

// unpublish takes the ports of a container away.
func (l *link) unpublish() error {
	if len(l.Ports) == 0 {
		return nil
	}
	return unpublish([]ipam.Lease{{ID: l.id}})
}

// leadOut publishes the ports, and makes the network the container's way out.
func (l *link) leadOut(pid string) error {
	runtime.LockOSThread() // the thread enters the container's network
	h := hostPlan()
	l.prepareRules(h, &l.attachment, true)
	l.enterNetns(h, pid)
	socket := h.NetlinkSocket(unix.NETLINK_ROUTE, "NETLINK_ROUTE")
	routes := []nlMessage{defaultRoute(l.network.Gateway)}
	if l.lease.Addr6.IsValid() {
		routes = append(routes, defaultRoute(l.network.Gateway6))
	}
	for _, route := range routes {
		h.Netlink(socket, "the way out, through network "+l.network.Name, orOwnRoute, route)
	}
	h.Close(socket)
	l.back = h.Setns(l.hostNS.Result(), unix.CLONE_NEWNET).Why("and back to the host's network")
	return errors.Join(h.Perform(nil), l.leaveNetns())
}

// orOwnRoute lets a container that runs have a default route that it has made itself, or none.
func orOwnRoute(reply error) error {
	if errors.Is(reply, unix.EEXIST) || errors.Is(reply, unix.ENETUNREACH) {
		return nil
	}
	return withoutIPv6(reply)
}

// vethOf finds the end in the bridge of a container's veth pair.
func vethOf(n *ipam.Network, id string) (string, error) {
	bridge, err := linkNamed(n.Bridge)
	if err != nil {
		return "", err
	}
	links, err := hostLinks()
	if err != nil {
		return "", err
	}
	name, found := ipam.VethOf(id, bridge.Index, links)
	if !found {
		return "", fmt.Errorf("network %s: no link of container %.12s in bridge %s",
			n.Name, id, n.Bridge)
	}
	return name, nil
}
