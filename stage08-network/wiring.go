// How a container is connected: which network it is in, by which address and names it is found
// there, and which of its ports the host publishes. The bridge, the rules and the address are
// prepared before the process is made; while it is held, the host puts one end of a veth pair
// into its network namespace, enters it for a moment with setns(2), and configures that end.

package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/etc"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage08-network/dns"
	"stagebox/stage08-network/forwarding"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/nft"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/proxy"
)

// networkOptions are the flags. Without one, a container of an image has the default network; one
// on a directory, or the host's files, has loopback alone.
func (c *Container) networkOptions() NetworkOptions {
	w := c.NetworkOptions
	if c.record != nil && c.record.ImageID != "" && w.Network == "" {
		w.Network = "default"
	}
	return w
}

// connect connects a container to its network.
func (c *Container) connect(p *Plan) (*link, error) {
	w := c.networkOptions()
	who, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	link, err := w.attach(p, c.Isolation, c.Store.networks(), who)
	if err != nil {
		if c.record != nil {
			c.record.Kept = true // a port that is in use now may be free at the next start
		}
		return nil, err
	}
	if err := link.printNotes(); err != nil {
		return nil, errors.Join(err, link.disconnect())
	}
	started := p.started
	p.started = func(pid int) error {
		if err := link.startResolver(); err != nil {
			return err
		}
		return started(pid)
	}
	c.link = link
	if err := c.writeNames(); err != nil {
		return nil, errors.Join(err, link.disconnect())
	}
	return link, nil
}

func (c *link) printNotes() error {
	var all []error
	for _, note := range c.Notes {
		if !c.dry {
			all = append(all, c.dir.PrintOnce(os.Stderr, note))
		}
	}
	return errors.Join(all...)
}

// shareNames gives a container that shares a network the host name there. It shares another
// container's files of /etc too, so none of the flags about them makes sense.
func (c *Container) shareNames() (err error) {
	if c.Network == "host" && c.Hostname == "box" { // the default
		c.Hostname, err = os.Hostname()
	}
	name, shares := strings.CutPrefix(c.Network, "container:")
	if !shares {
		return err
	}
	conflict := map[string]bool{"--hostname": slices.Contains(c.given, "--hostname"),
		"--add-host": len(c.AddHost) > 0, "--dns": len(c.DNS) > 0}
	if flag := c.firstGiven(conflict); flag != "" {
		return fmt.Errorf("%s and --network %s exclude one another:"+
			" a container that shares a network shares its names too", flag, c.Network)
	}
	other, err := c.Store.find(name)
	if err != nil {
		return fmt.Errorf("--network %s: %w", c.Network, err)
	}
	c.Hostname = other.Run.Hostname
	return nil
}

// endpoint describes the container to its network.
func (c *Container) endpoint() (endpoint, error) {
	who := endpoint{id: ids.New(), hostname: c.Hostname, dry: c.DryRun, other: c.Store.running}
	if c.record == nil {
		return who, nil
	}
	who.id, who.name = c.record.ID, c.record.Name
	if !c.PublishAll || c.record.ImageID == "" {
		return who, nil
	}
	image, err := c.Store.layout().Find(c.record.ImageID.String())
	if err != nil {
		return who, err
	}
	who.exposed = slices.Sorted(maps.Keys(image.Config.Config.ExposedPorts))
	return who, nil
}

// running finds a container that runs.
func (s Store) running(name string) (r *Record, err error) {
	if r, err = s.find(name); err == nil && !r.isRunning() {
		err = fmt.Errorf("it does not run: box start %s starts it", r.Name)
	}
	return r, err
}

// endpoint is the container at the end of a link.
type endpoint struct {
	id, name, hostname string
	exposed            []string // ports of the image, such as 80/tcp
	dry                bool     // only list the calls

	other func(name string) (*Record, error) // finds another container that runs
}

// link is a container's connection to its network.
type link struct {
	Ports []portmap.Mapping // as published, for box ps
	Addr  netip.Addr        // invalid without one
	Notes []string          // for the user

	shared   bool // in the network namespace of the host, or of another container
	dir      networks
	network  *ipam.Network // nil without a bridge
	lease    ipam.Lease
	held     *os.File // while it is open, the lease counts
	veth     string   // the name of the veth pair's end on the host
	proxies  []*proxy.Proxy
	resolver *resolver
	stack    *userStack
	own, out *plan.Call // the host's network namespace, and the way back to it
	hosts    string
	servers  []netip.Addr
	dry      bool
	other    *Record // whose network is shared
}

// attach decides how a container is connected, and prepares it. It comes before the namespaces,
// to which it adds what is shared; whileHeld comes after them. disconnect undoes both.
func (w *NetworkOptions) attach(p *Plan, iso Isolation, dir networks, who endpoint) (*link, error) {
	c := &link{dir: dir, dry: who.dry}
	mode, other, err := w.mode(iso)
	if err != nil {
		return nil, err
	}
	if c.Ports, err = w.ports(who.exposed); err != nil {
		return nil, err
	}
	if c.servers, err = dns.ParseServers(w.DNS); err != nil {
		return nil, err
	}
	bridged := !slices.Contains([]string{"none", "host", "container", "default"}, mode)
	if err := w.check(mode, bridged, len(c.Ports)); err != nil {
		return nil, err
	}
	switch {
	case mode == "host":
		c.shared = true
	case mode == "container":
		err = c.join(p, other, who)
	case mode == "default":
		err = c.userNetwork()
	case bridged:
		err = c.prepare(mode, w, p, who)
	}
	if err == nil && mode != "container" {
		c.hosts, err = w.hostsFile(c, who)
	}
	if err != nil {
		return nil, errors.Join(err, c.disconnect())
	}
	return c, nil
}

// join lets the container share the network of another.
func (c *link) join(p *Plan, name string, who endpoint) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("--network container:NAME: another container's network belongs to its" +
			" user namespace; only root may join it")
	}
	if c.other, err = who.other(name); err == nil && c.other.State.Address != "" {
		c.Addr, err = netip.ParseAddr(c.other.State.Address)
	}
	if err != nil {
		return fmt.Errorf("--network container:%s: %w", name, err)
	}
	c.shared = true
	pidfd := p.before.PidfdOpen(c.other.State.PID).Why("whose network is shared").Result()
	p.Setns(pidfd, unix.CLONE_NEWNET).Why("into its network")
	return nil
}

// userNetwork prepares the network of an ordinary user, by a program that has to be installed.
func (c *link) userNetwork() error {
	stack, err := findUserStack(c.Ports)
	if err != nil && len(c.Ports) == 0 {
		c.Notes = append(c.Notes, err.Error()+"; this container has none")
		return nil
	}
	if err != nil {
		return err
	}
	c.stack = stack
	return nil
}

// whileHeld adds what the host does while the process is held: its namespaces exist by then,
// and its user ids are mapped.
func (c *link) whileHeld(p *Plan) {
	switch {
	case c.stack != nil:
		p.WhileHeld(c.stack.plan)
	case c.resolver != nil:
		p.WhileHeld(c.addVeth)
	}
}

const networkSection = "network: a link to a bridge, an address, a way out"

// prepare makes everything on the host's side that does not need the process.
func (c *link) prepare(name string, w *NetworkOptions, p *Plan, who endpoint) (err error) {
	p.Section(networkSection)
	if err := c.allocate(name, w, who); err != nil {
		return err
	}
	there, err := readyTable(c.dry) // after the lease, which keeps others from removing it
	if err != nil {
		return err
	}
	// Never the same name twice: the veth pair of a container's last run may be there for a few
	// more milliseconds.
	unique := make([]byte, 3)
	rand.Read(unique)
	c.veth = fmt.Sprintf("veth%.5s%x", who.id, unique)
	if c.network.Internal && len(c.Ports) > 0 {
		return fmt.Errorf("--publish: network %s is internal, and cannot be reached from outside",
			c.network.Name)
	}
	if err := c.listenPorts(); err != nil {
		return err
	}
	if err := c.prepareHost(p.before); err != nil {
		return err
	}
	c.prepareBridge(p.before, there)
	c.resolver = &resolver{dir: c.dir, network: c.network, servers: c.servers}
	return nil
}

// allocate finds the network and leases an address.
func (c *link) allocate(name string, w *NetworkOptions, who endpoint) (err error) {
	var wanted netip.Addr
	if w.IP != "" {
		if wanted, err = netip.ParseAddr(w.IP); err != nil || !wanted.Is4() {
			return fmt.Errorf("--ip %s is not an IPv4 address", w.IP)
		}
	}
	names := slices.Clone(w.NetworkAlias)
	if who.name != "" {
		names = append([]string{who.name}, names...)
	}
	for {
		n, err := c.dir.findOrCreate(name, c.dry)
		if err != nil {
			return err
		}
		c.lease, c.held, err = c.dir.acquire(n, who.id, wanted, names, c.dry)
		switch {
		case err == nil:
			c.network, c.Addr = n, c.lease.Addr
			return nil
		case name != defaultNetwork || !errors.Is(err, ipam.ErrNoNetwork): // else removed meanwhile
			return err
		}
	}
}

// listenPorts opens the proxies of the published ports on the host.
func (c *link) listenPorts() error {
	for i := range c.Ports {
		if c.dry {
			continue
		}
		list, err := listen(&c.Ports[i], c.lease, c.dir)
		if err != nil {
			return err
		}
		c.proxies = append(c.proxies, list...)
	}
	for _, p := range c.proxies {
		go p.Serve()
	}
	return nil
}

// prepareHost lets the host forward packets, and notes the chains that may keep it from that.
func (c *link) prepareHost(h *Plan) error {
	missing, err := settings(c.lease.Addr6.IsValid())
	if err != nil {
		return err
	}
	if len(missing) > 0 && !c.dry {
		remember := func() error { return forwarding.Remember(c.dir.File("settings"), missing) }
		if err := c.dir.Locked(remember); err != nil {
			return err
		}
	}
	for _, s := range missing {
		h.WriteFile(s.Path, s.Value).Why(s.Why)
		open := h.Calls[len(h.Calls)-3]
		open.Hint(unix.EROFS, "forwarding is off, and may not be switched on from here:"+
			" sysctl -w, as the host's root").
			Hint(unix.EACCES, "forwarding is off, and only root may switch it on")
	}
	chains, err := blockingChains()
	if err != nil {
		return err
	}
	if advice := forwarding.Advice(c.network.Bridge, chains); advice != "" {
		c.Notes = append(c.Notes, advice)
	}
	return nil
}

// prepareBridge makes the bridge and the rules, as far as they are not there already.
func (c *link) prepareBridge(h *Plan, hasTable bool) {
	n := c.network
	addresses := []nlMessage{newAddress(n.Bridge, 0, n.Gateway, n.Subnet.Bits())}
	if c.lease.Addr6.IsValid() {
		addresses = append(addresses, newAddress(n.Bridge, 0, n.Gateway6, n.Subnet6.Bits()))
	}
	var gateway []byte
	socket := h.NetlinkSocket(unix.NETLINK_ROUTE, "NETLINK_ROUTE")
	h.Netlink(socket, "a bridge: a switch for all containers of the network", func(e error) error {
		bridge, err := linkNamed(n.Bridge)
		nameLink(gateway, bridge.Index)
		return cmp.Or(e, err)
	}, newBridge(n))
	gateway = h.Netlink(socket, "the host's addresses on it, the containers' gateway", nil,
		addresses...)
	h.Close(socket)
	h.WriteFile("/proc/sys/net/ipv4/conf/"+n.Bridge+"/route_localnet", "1").
		Why("so that 127.0.0.1 can be published")
	c.prepareRules(h, hasTable)
}

// prepareRules adds the network and the ports of this container to the rules, in one
// transaction. Since the table was looked for, a box with another store may have removed it: then
// it is made again.
func (c *link) prepareRules(h *Plan, hasTable bool) {
	own := append(natTable.AddElements(elementsFor(c.network)),
		natTable.AddElements(c.portElements())...)
	withTable := append(newTable(), own...)
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

func (c *link) portElements() (list []nft.Element) {
	for _, m := range c.Ports {
		for _, to := range []netip.Addr{c.lease.Addr, c.lease.Addr6} {
			if e, ok := m.Element(to, c.lease.ID); ok {
				list = append(list, e)
			}
		}
	}
	return list
}

// addVeth makes the veth pair and configures the end inside, while the process is held.
func (c *link) addVeth(h *Plan, pid string) {
	h.Section(networkSection)
	n, l := c.network, c.lease
	bridge, err := linkNamed(n.Bridge)
	if err != nil && !c.dry {
		h.Fail(err)
		return
	}
	var configuration []byte
	socket := h.NetlinkSocket(unix.NETLINK_ROUTE, "NETLINK_ROUTE")
	named := func(e error) error {
		veth, err := linkNamed(c.veth)
		nameLink(configuration, veth.Peer)
		return cmp.Or(e, err)
	}
	h.Netlink(socket, "a veth pair: one end in the bridge, the other inside, as eth0", named,
		newVeth(c.veth, n, l, bridge.Index, pid), hairpin(c.veth))
	h.Close(socket)
	c.enterNetns(h, pid)
	socket = h.NetlinkSocket(unix.NETLINK_ROUTE, "NETLINK_ROUTE")
	configuration = h.Netlink(socket, "its addresses and the way out", nil, insideMessages(n, l)...)
	h.Close(socket)
	c.resolver.plan(h)
	c.out = h.Setns(c.own.Result(), unix.CLONE_NEWNET).Why("and back to the host's network")
}

// insideMessages configure the container's end: its addresses, and a route to everywhere.
func insideMessages(n *ipam.Network, l ipam.Lease) []nlMessage {
	list := []nlMessage{
		linkUp("lo"), newAddress("eth0", 0, l.Addr, n.Subnet.Bits()), linkUp("eth0")}
	if l.Addr6.IsValid() {
		list = append(list, newAddress("eth0", 0, l.Addr6, n.Subnet6.Bits()))
	}
	if !n.Internal {
		list = append(list, defaultRoute(n.Gateway))
		if l.Addr6.IsValid() {
			list = append(list, defaultRoute(n.Gateway6))
		}
	}
	return list
}

// enterNetns enters the network namespace of the process, for the calls that follow.
func (c *link) enterNetns(h *Plan, pid string) {
	open := func(path string) *plan.Call {
		return h.Add("openat", unix.SYS_OPENAT, plan.Cwd, path,
			plan.Sym(unix.O_RDONLY|unix.O_CLOEXEC, "O_RDONLY|O_CLOEXEC"))
	}
	c.own = open("/proc/thread-self/ns/net").Why("to find the way back")
	theirs := open("/proc/" + pid + "/ns/net").Result()
	c.own.Result()
	h.Setns(theirs, unix.CLONE_NEWNET).Why("this thread of box steps into the container's network")
	h.Close(theirs)
}

// startResolver answers questions from now on. It is called when the process runs.
func (c *link) startResolver() error {
	if c.resolver == nil || c.dry {
		return nil
	}
	return c.resolver.start()
}

// disconnect undoes attach and the plan. The veth pair went with the container's namespace.
func (c *link) disconnect() error {
	var all []error
	if c.own != nil && c.own.Done() && !c.out.Done() { // a failure has left us inside
		all = append(all, unix.Setns(int(c.own.Ret), unix.CLONE_NEWNET))
	}
	if c.resolver != nil {
		c.resolver.stop()
	}
	closeAll(c.proxies)
	if c.stack != nil {
		all = append(all, c.stack.stop())
	}
	if c.network == nil || c.dry {
		return errors.Join(all...)
	}
	if len(c.Ports) > 0 {
		all = append(all, unpublish([]ipam.Lease{c.lease}))
	}
	return errors.Join(append(all, c.dir.Release(c.network, c.lease.ID), c.held.Close())...)
}

// isShared reports whether the container has no network namespace of its own.
func (c *link) isShared() bool { return c != nil && c.shared }

// address and published are for the record of a running container.
func (c *link) address() string {
	if c == nil || !c.Addr.IsValid() {
		return ""
	}
	return c.Addr.String()
}

func (c *link) published() (list []string) {
	if c == nil {
		return nil
	}
	for _, m := range c.Ports {
		list = append(list, m.Published(hasIPv6())...)
	}
	return list
}

// resolvConf returns /etc/resolv.conf of the container.
func (c *link) resolvConf() string {
	host := etc.ResolvConf()
	switch {
	case c.resolver != nil:
		conf := dns.WithNameservers(host, resolverAddr)
		if c.network.Name != defaultNetwork {
			conf = dns.NamesFirst(conf)
		}
		return conf
	case len(c.servers) > 0:
		return dns.WithNameservers(host, c.servers...)
	case c.stack != nil:
		return dns.WithNameservers(host, c.stack.DNS())
	}
	return host
}
