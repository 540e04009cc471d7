// How a container is connected: which network it is in, by which address and names it is found
// there, and which of its ports the host publishes. The bridge, the rules and the address are
// prepared before the process is made; while it is held, the host puts one end of a veth pair
// into its network namespace, enters it for a moment with setns(2), and configures that end: the
// calls for that are in cable.go.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage08-network/dns"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/netflags"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/proxy"
	"stagebox/stage08-network/rtnl"
)

// networkOptions are the flags. Without one, a container of an image has the default network; one
// on a directory, or the host's files, has loopback alone.
func (c *Container) networkOptions() NetworkOptions {
	w := c.NetworkOptions
	if c.record != nil && c.record.ImageID != "" && w.First() == "" {
		w.Network = []string{"default"}
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
	link, err := newLink(&w, p, c.Isolation, c.Store.networks(), who)
	if err != nil {
		c.keep() // a port that is in use now may be free at the next start
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

func (l *link) printNotes() error {
	if l.dry {
		return nil
	}
	return l.dir.PrintOnce(os.Stderr, l.Notes...)
}

// shareNames gives a container that shares a network the host name there.
func (c *Container) shareNames() (err error) {
	network := c.First()
	if network == "host" && c.Hostname == "box" { // the default
		c.Hostname, err = os.Hostname()
	}
	other, errShared := c.sharedNetwork()
	if other != nil {
		c.Hostname, c.Domainname = other.Run.Hostname, other.Run.Domainname
	}
	return cmp.Or(err, errShared)
}

// endpoint describes the container to its network.
func (c *Container) endpoint() (endpoint, error) {
	who := endpoint{id: ids.New(), hostname: c.Hostname, dry: c.DryRun, other: c.Store.running}
	who.domain = c.Domainname
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

// endpoint is the container at the end of a link.
type endpoint struct {
	id, name, hostname string
	exposed            []string // ports of the image, such as 80/tcp
	dry                bool     // only list the calls
	keeper             string   // of its leases, if it is another box

	other func(name string) (*Record, error) // finds another container that runs

	domain string // after the host name
}

// attachment is a container's place on one network.
type attachment struct {
	network *ipam.Network
	lease   ipam.Lease
	veth    string // the name of the veth pair's end on the host
	inside  string // of the end inside: eth0
	wayOut  bool   // whether the way out leads through it
}

// link is a container's connection to its networks.
type link struct {
	attachment // to the first: its ports and its way out are there

	Ports []portmap.Mapping // as published, for box ps
	Addr  netip.Addr        // invalid without one
	Notes []string          // for the user

	id           string
	shared       bool // in the network namespace of the host, or of another container
	dir          networks
	more         []attachment // to further networks
	held         *os.File     // while it is open, the leases count
	proxies      []*proxy.Proxy
	resolver     *resolver
	stack        *userStack
	hostNS, back *plan.Call // open the host's network namespace; return to it
	hosts        string
	servers      []netip.Addr
	conf         string // resolv.conf of the host, with what the flags say of it
	dry          bool
	other        *Record // whose network is shared
	links        map[string]string
}

// newLink decides how a container is connected, and prepares it. It comes before the namespaces,
// to which it adds what is shared; whileHeld comes after them. disconnect undoes both.
func newLink(w *NetworkOptions, p *Plan, iso Isolation, dir networks, who endpoint) (*link, error) {
	l := &link{dir: dir, id: who.id, dry: who.dry}
	mode, other, list, err := l.read(w, iso, who.exposed)
	if err != nil {
		return nil, err
	}
	switch {
	case mode == "host":
		l.shared = true
	case mode == "container":
		err = l.join(p, other, who)
	case mode == "default":
		err = l.userNetwork()
	case ipam.HasBridge(mode):
		list[0].Network = mode
		err = l.prepare(list, p, who)
	}
	if err == nil && mode != "container" {
		names := netflags.HostNames(who.hostname, who.domain, who.name)
		l.hosts, err = w.Hosts(names, l.ownAddresses(), l.hostGateway)
	}
	if err != nil {
		return nil, errors.Join(err, l.disconnect())
	}
	return l, nil
}

// read decides what the flags ask for.
func (l *link) read(w *NetworkOptions, iso Isolation, exposed []string) (mode, other string,
	list []ipam.Wish, err error) {
	mode, other, err = w.Mode(iso.sharesNetwork())
	if err != nil {
		return mode, other, nil, err
	}
	list, errList := w.Wishes()
	var errPorts, errDNS, errLinks error
	l.Ports, errPorts = w.Ports(exposed)
	l.conf, l.servers, errDNS = w.ResolvConf()
	l.links, errLinks = w.Links(mode)
	if err := cmp.Or(errList, errPorts, errDNS, errLinks); err != nil {
		return mode, other, nil, err
	}
	return mode, other, list, ipam.CheckMode(mode, len(l.Ports), list)
}

// join lets the container share the network of another.
func (l *link) join(p *Plan, name string, who endpoint) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("--network container:NAME: another container's network belongs to its" +
			" user namespace; only root may join it")
	}
	if l.other, err = who.other(name); err == nil && l.other.State.Address != "" {
		l.Addr, err = netip.ParseAddr(l.other.State.Address)
	}
	if err != nil {
		return fmt.Errorf("--network container:%s: %w", name, err)
	}
	l.shared = true
	pidfd := p.before.openRecord(l.other).Why("whose network is shared").Result()
	p.Setns(pidfd, unix.CLONE_NEWNET).Why("into its network")
	return nil
}

// userNetwork prepares the network of an ordinary user, by a program that has to be installed.
func (l *link) userNetwork() error {
	stack, err := findUserStack(l.Ports)
	if err != nil && len(l.Ports) == 0 {
		l.Notes = append(l.Notes, err.Error()+"; this container has none")
		return nil
	}
	if err != nil {
		return err
	}
	l.stack = stack
	return nil
}

// whileHeld adds what the host does while the process is held: its namespaces exist by then,
// and its user ids are mapped.
func (l *link) whileHeld(p *Plan) {
	switch {
	case l.stack != nil:
		p.WhileHeld(l.stack.plan)
	case l.resolver != nil:
		p.WhileHeld(l.addVeth)
	}
}

const networkSection = "network: a link to a bridge, an address, a way out"

// prepare makes everything on the host's side that does not need the process.
func (l *link) prepare(list []ipam.Wish, p *Plan, who endpoint) (err error) {
	p.Section(networkSection)
	if err := l.allocateAll(list, who); err != nil {
		return err
	}
	there, err := nat.Ready(l.dry) // after the lease, which keeps others from removing it
	if err != nil {
		return err
	}
	if l.network.Internal && len(l.Ports) > 0 {
		return fmt.Errorf("--publish: network %s is internal, and cannot be reached from outside",
			l.network.Name)
	}
	if err := l.listenPorts(); err != nil {
		return err
	}
	if err := l.enableForwarding(p.before); err != nil {
		return err
	}
	if err := l.noteFirewalls(); err != nil {
		return err
	}
	for _, a := range l.attachments() {
		l.prepareBridge(p.before, a, there)
		there = true
	}
	l.resolver = &resolver{dir: l.dir, id: who.id, servers: l.servers, links: l.links}
	return nil
}

// attachments are those to all networks.
func (l *link) attachments() []*attachment {
	list := []*attachment{&l.attachment}
	for i := range l.more {
		list = append(list, &l.more[i])
	}
	return list
}

// ownAddresses are those on all networks.
func (l *link) ownAddresses() (list []string) {
	for _, a := range l.attachments() {
		list = append(list, a.lease.Addresses()...)
	}
	return list
}

// allocateAll leases an address on each network. The first that is not internal comes first: the
// way out leads through it.
func (l *link) allocateAll(list []ipam.Wish, who endpoint) error {
	var all []attachment
	for _, wish := range list {
		a, err := l.allocate(wish, who)
		if err != nil {
			return err
		}
		all = append(all, a)
	}
	isOpen := func(a attachment) bool { return !a.network.Internal }
	first := max(0, slices.IndexFunc(all, isOpen))
	l.attachment = all[first]
	l.more = slices.Delete(all, first, first+1)
	for i, a := range l.attachments() {
		a.inside = fmt.Sprintf("eth%d", i)
	}
	l.wayOut, l.Addr = isOpen(l.attachment), l.lease.Addr
	return nil
}

// allocate finds a network and leases an address.
func (l *link) allocate(wish ipam.Wish, who endpoint) (a attachment, err error) {
	names := wish.Names(who.id, who.name, who.hostname)
	a.veth = ipam.NewVeth(who.id)
	a.lease = ipam.Lease{ID: who.id, Keeper: who.keeper, Names: names, MAC: wish.MAC}
	if who.keeper == "" {
		a.lease.Keeper = ipam.Keeper(os.Getpid())
	}
	isFirst := l.held == nil && who.keeper == ""
	for {
		if a.network, err = l.dir.findOrCreate(wish.Network, l.dry); err != nil {
			return a, err
		}
		held, err := l.dir.acquire(a.network, &a.lease, wish.IP, isFirst, l.dry)
		switch {
		case err == nil:
			l.held = cmp.Or(l.held, held)
			return a, nil
		case wish.Network != defaultNetwork || !errors.Is(err, ipam.ErrNoNetwork):
			return a, err // else it was removed meanwhile
		}
	}
}

// listenPorts opens the proxies of the published ports on the host.
func (l *link) listenPorts() error {
	for i := range l.Ports {
		if l.dry {
			continue
		}
		list, err := listen(&l.Ports[i], l.lease, l.dir)
		if err != nil {
			return err
		}
		l.proxies = append(l.proxies, list...)
	}
	for _, p := range l.proxies {
		go p.Serve()
	}
	return nil
}

// startResolver answers questions from now on. It is called when the process runs.
func (l *link) startResolver() error {
	if l.resolver == nil || l.dry {
		return nil
	}
	return l.resolver.start()
}

// disconnect undoes newLink and the plan. The veth pair went with the container's namespace.
func (l *link) disconnect() error {
	all := []error{l.leaveNetns()}
	if l.resolver != nil {
		l.resolver.stop()
	}
	proxy.CloseAll(l.proxies)
	if l.stack != nil {
		all = append(all, l.stack.Stop())
	}
	if l.held == nil || l.dry {
		return errors.Join(all...)
	}
	undo := func([]ipam.Lease) error { return l.unpublish() }
	return errors.Join(append(all, l.silence(), l.dir.ReleaseAll(l.id, undo), l.held.Close())...)
}

// isShared reports whether the container has no network namespace of its own.
func (l *link) isShared() bool { return l != nil && l.shared }

// address and published are for the record of a running container.
func (l *link) address() string {
	if l == nil || !l.Addr.IsValid() {
		return ""
	}
	return l.Addr.String()
}

func (l *link) published() []string {
	if l == nil {
		return nil
	}
	return portmap.Published(l.Ports, rtnl.HasIPv6())
}

// resolvConf returns /etc/resolv.conf of the container.
func (l *link) resolvConf() string {
	switch host := l.conf; {
	case l.resolver != nil:
		conf := dns.WithNameservers(host, resolverAddr)
		if l.network.Name != defaultNetwork {
			conf = dns.NamesFirst(conf)
		}
		return conf
	case len(l.servers) > 0:
		return dns.WithNameservers(host, l.servers...)
	case l.stack != nil:
		return dns.WithNameservers(host, l.stack.DNS())
	}
	return l.conf
}
