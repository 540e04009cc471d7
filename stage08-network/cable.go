// The cable of a container. The host becomes a router, the network gets its bridge and its rules,
// as far as they are not there, and the container a veth pair. bridge.go and nat.go compose the
// messages; here they become calls of the plan: those before the process is made, those while it is
// held, and between them the host's visit to the network namespace of the process.

package main

import (
	"cmp"
	"errors"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage08-network/forwarding"
	"stagebox/stage08-network/portmap"
)

// enableForwarding makes the host a router, unless it is one, and keeps the old settings.
func (l *link) enableForwarding(h *Plan) error {
	missing, err := forwarding.Missing(l.lease.Addr6.IsValid(), learningLinks)
	if err != nil {
		return err
	}
	if len(missing) > 0 && !l.dry {
		remember := func() error { return forwarding.Remember(l.dir.File("settings"), missing) }
		if err := l.dir.Locked(remember); err != nil {
			return err
		}
	}
	for _, s := range missing {
		h.WriteFile(s.Path, s.Value).Why(s.Why)
		open := h.Calls[len(h.Calls)-3] // of openat, write, close
		open.Hint(unix.EROFS, "forwarding is off, and may not be switched on from here:"+
			" sysctl -w, as the host's root").
			Hint(unix.EACCES, "forwarding is off, and only root may switch it on")
	}
	return nil
}

// noteFirewalls notes the chains of other programs that would drop forwarded packets.
func (l *link) noteFirewalls() error {
	chains, err := blockingChains()
	if err != nil {
		return err
	}
	for _, a := range l.attachments() {
		if advice := forwarding.Advice(a.network.Bridge, chains); advice != "" {
			l.Notes = append(l.Notes, advice)
		}
	}
	return nil
}

// prepareBridge makes a bridge and the rules, as far as they are not there already. The message
// with the bridge's addresses is composed before the bridge has a number, which is filled in later.
func (l *link) prepareBridge(h *Plan, a *attachment, hasTable bool) {
	n := a.network
	addresses := []nlMessage{newAddress(n.Bridge, 0, n.Gateway, n.Subnet.Bits())}
	if a.lease.Addr6.IsValid() {
		addresses = append(addresses, newAddress(n.Bridge, 0, n.Gateway6, n.Subnet6.Bits()))
	}
	var gateway []byte
	socket := h.NetlinkSocket(unix.NETLINK_ROUTE, "NETLINK_ROUTE")
	h.Netlink(socket, "a bridge: a switch for all containers of the network", func(e error) error {
		bridge, err := linkNamed(n.Bridge)
		setLinkIndex(gateway, bridge.Index)
		return cmp.Or(e, err)
	}, newBridge(n))
	gateway = h.Netlink(socket, "the host's addresses on it, the containers' gateway", nil,
		addresses...)
	h.Close(socket)
	h.WriteFile("/proc/sys/net/ipv4/conf/"+n.Bridge+"/route_localnet", "1").
		Why("so that 127.0.0.1 can be published")
	l.prepareRules(h, a, hasTable)
}

// prepareRules adds a network and, with the first, the ports of this container to the rules, in one
// transaction. Since the table was looked for, a box with another store may have removed it: then
// it is made again.
func (l *link) prepareRules(h *Plan, a *attachment, hasTable bool) {
	own := natTable.AddElements(elementsFor(a.network))
	if a == &l.attachment {
		ports := portmap.Elements(l.Ports, l.lease.ID, l.lease.Addr, l.lease.Addr6)
		own = append(own, natTable.AddElements(ports)...)
	}
	withTable := append(nat.Create(), own...)
	again := func(err error) error {
		if errors.Is(err, unix.ENOENT) {
			return sendNat(withTable...)
		}
		return err
	}
	changes := withTable
	if hasTable {
		changes = own
	}
	socket := h.NetlinkSocket(unix.NETLINK_NETFILTER, "NETLINK_NETFILTER")
	h.Netlink(socket, "what may pass, in one transaction: the way out, and the published ports",
		again, transaction(changes)...)
	h.Close(socket)
}

// addVeth makes the veth pairs and configures the ends inside, while the process is held.
func (l *link) addVeth(h *Plan, pid string) {
	h.Section(networkSection)
	socket := h.NetlinkSocket(unix.NETLINK_ROUTE, "NETLINK_ROUTE")
	// The messages for the ends inside are composed before the kernel has numbered them.
	inside := make([][]byte, len(l.attachments()))
	for i, a := range l.attachments() {
		if err := a.plug(h, socket, pid, &inside[i]); err != nil && !l.dry {
			h.Fail(err)
			return
		}
	}
	h.Close(socket)
	l.enterNetns(h, pid)
	socket = h.NetlinkSocket(unix.NETLINK_ROUTE, "NETLINK_ROUTE")
	for i, a := range l.attachments() {
		inside[i] = h.Netlink(socket, "its addresses and the way out", withoutIPv6,
			a.insideMessages()...)
	}
	h.Close(socket)
	if l.resolver != nil {
		l.resolver.plan(h)
	}
	l.back = h.Setns(l.hostNS.Result(), unix.CLONE_NEWNET).Why("and back to the host's network")
}

// plug makes a veth pair, and then writes the number of the end inside into messages.
func (a *attachment) plug(h *Plan, socket plan.Arg, pid string, messages *[]byte) error {
	bridge, err := linkNamed(a.network.Bridge)
	numberPeer := func(e error) error {
		veth, err := linkNamed(a.veth)
		if err == nil {
			setLinkIndex(*messages, veth.Peer)
		}
		return cmp.Or(e, err)
	}
	h.Netlink(socket, "a veth pair: one end in the bridge, the other inside, as "+a.inside,
		numberPeer, newVeth(a, bridge.Index, pid), hairpin(a.veth))
	return err
}

// insideMessages configure the container's end: its addresses, and a route to everywhere.
func (a *attachment) insideMessages() []nlMessage {
	n, l := a.network, a.lease
	list := []nlMessage{
		linkUp("lo"), newAddress(a.inside, 0, l.Addr, n.Subnet.Bits()), linkUp(a.inside)}
	if a.wayOut {
		list = append(list, defaultRoute(n.Gateway))
	}
	if l.Addr6.IsValid() { // last: see withoutIPv6
		list = append(list, newAddress(a.inside, 0, l.Addr6, n.Subnet6.Bits()))
		if a.wayOut {
			list = append(list, defaultRoute(n.Gateway6))
		}
	}
	return list
}

// withoutIPv6 lets a container that runs have IPv6 switched off (net.ipv6.conf.all.disable_ipv6).
func withoutIPv6(reply error) error {
	if errors.Is(reply, unix.EACCES) {
		return nil
	}
	return reply
}

// enterNetns enters the network namespace of the process, for the calls that follow.
func (l *link) enterNetns(h *Plan, pid string) {
	open := func(path string) *plan.Call {
		return h.Add("openat", unix.SYS_OPENAT, plan.Cwd, path,
			plan.Sym(unix.O_RDONLY|unix.O_CLOEXEC, "O_RDONLY|O_CLOEXEC"))
	}
	l.hostNS = open("/proc/thread-self/ns/net").Why("to find the way back")
	l.hostNS.Result() // addVeth ends with it
	theirs := open("/proc/" + pid + "/ns/net").Result()
	h.Setns(theirs, unix.CLONE_NEWNET).Why("this thread of box steps into the container's network")
	h.Close(theirs)
}

// leaveNetns brings the thread back if a failure has left it inside.
func (l *link) leaveNetns() error {
	if l.hostNS == nil || !l.hostNS.Done() || l.back.Done() {
		return nil
	}
	return unix.Setns(int(l.hostNS.Ret), unix.CLONE_NEWNET)
}

// silence takes a container that has ended off its bridges. The kernel removes a network namespace
// later, and until then answers in it, also for the next container that has the address.
func (l *link) silence() (err error) {
	for _, a := range l.attachments() {
		veth, errPort := linkNamed(a.veth)
		if errPort == nil {
			errPort = sendNetlink(unix.NETLINK_ROUTE, portOff(veth.Index))
		}
		if !errors.Is(errPort, unix.ENODEV) { // else it is gone, or was never made
			err = errors.Join(err, errPort)
		}
	}
	return err
}
