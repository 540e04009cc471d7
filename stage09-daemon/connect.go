// The networks of a container may change while it runs. A cable is as easily made later as at the
// start: a veth pair, one end in the bridge, the other in the container's network namespace, which
// this box enters for a moment to configure it. The lease counts as long as the container runs,
// since the box that stays with it holds the lock on all of them.

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/ipam"
)

// plugIn connects a container that runs.
func (r *Record) plugIn(wish ipam.Wish) (err error) {
	runtime.LockOSThread() // the thread enters the container's network
	l := &link{dir: r.store.networks(), id: r.ID}
	all, err := l.dir.leasesOf(r.ID)
	if err != nil || len(all) == 0 {
		return errors.Join(err, fmt.Errorf("container %s is on no network", r.Name))
	}
	who := endpoint{id: r.ID, name: r.Name, keeper: all[0].lease.Keeper}
	if l.attachment, err = l.allocate(wish, who); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.dir.Release(l.network, r.ID))
		}
	}()
	isOpen := func(a attachment) bool { return !a.network.Internal }
	l.wayOut = isOpen(l.attachment) && !slices.ContainsFunc(all, isOpen)
	if l.inside, err = freeLink(r.State.PID); err != nil {
		return err
	}
	there, err := readyTable(false)
	if err != nil {
		return err
	}
	bridge, veth := hostPlan(), hostPlan()
	if err := l.enableForwarding(bridge); err != nil {
		return err
	}
	l.prepareBridge(bridge, &l.attachment, there)
	if err := bridge.Perform(nil); err != nil {
		return err
	}
	l.addVeth(veth, strconv.Itoa(r.State.PID))
	if err := veth.Perform(nil); err != nil {
		return errors.Join(err, l.leaveNetns(), l.removeVeth())
	}
	return nil
}

// removeVeth takes a cable away that was not plugged in to the end.
func (l *link) removeVeth() error {
	err := sendNetlink(unix.NETLINK_ROUTE, delLink(l.veth))
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// leasesOf are a container's attachments, as far as the leases know them.
func (dir networks) leasesOf(id string) (list []attachment, err error) {
	all, err := dir.List()
	for _, n := range all {
		live, _, errRead := dir.Leases(n)
		err = errors.Join(err, errRead)
		for _, l := range live {
			if l.ID == id {
				list = append(list, attachment{network: n, lease: l})
			}
		}
	}
	return list, err
}

// freeLink is a name that no link in the network namespace of a process has: its links are the
// lines of /proc/PID/net/dev (proc(5)).
func freeLink(pid int) (string, error) {
	links, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	for i := 0; err == nil; i++ {
		name := fmt.Sprintf("eth%d", i)
		if !strings.Contains(string(links), " "+name+":") {
			return name, nil
		}
	}
	return "", err
}

// unplug removes the cable of a container that runs. The end inside goes with that in the bridge.
func (r *Record) unplug(name string) error {
	dir := r.store.networks()
	n, err := dir.Find(name)
	if err != nil {
		return err
	}
	addr, _ := netip.ParseAddr(r.State.Address)
	if len(r.State.Ports) > 0 && n.Subnet.Contains(addr) {
		return fmt.Errorf("network disconnect %s: the ports of container %s are published from it:"+
			" stop the container first", name, r.Name)
	}
	veth, err := vethOf(n, r.ID)
	if err != nil {
		return err
	}
	err = sendNetlink(unix.NETLINK_ROUTE, delLink(veth))
	return errors.Join(err, dir.Release(n, r.ID))
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
	for _, link := range links {
		if link.Master == bridge.Index && owns(ipam.Lease{ID: id}, link) {
			return link.Name, nil
		}
	}
	return "", fmt.Errorf("network %s: no link of container %.12s in bridge %s",
		n.Name, id, n.Bridge)
}
