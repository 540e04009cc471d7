// Package netflags has the flags about a container's network, as kong reads them and as a record
// keeps them. It says which networks they ask for, of which kind the first is, which ports are
// published, and what is in /etc/hosts and resolv.conf. It makes nothing. No lesson reads it.
package netflags

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"stagebox/stage03-rootfs/etc"
	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage08-network/dns"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/portmap"
)

// Options are the flags of run and create about the network.
type Options struct {
	Network      ipam.Names `help:"Connect the container to a network: bridge, none, host, container:NAME or one created by box network create (default for ordinary users: a network of its own, through pasta). More than once: to several; name=NET,alias=NAME,ip=IP,mac-address=MAC says more of one." placeholder:"NET" sep:"none" group:"Network:"`
	Publish      []string   `short:"p" help:"Publish a container's port on the host: 8080:80, 127.0.0.1:8080:80, 5000-5009:5000-5009/udp; 80 alone picks a free port." placeholder:"[IP:]HOST:CTR[/udp]" sep:"none" group:"Network:"`
	PublishAll   bool       `short:"P" help:"Publish every port that the image exposes." group:"Network:"`
	DNS          []string   `help:"DNS server to use instead of the host's." placeholder:"IP" sep:"none" group:"Network:"`
	AddHost      []string   `help:"Add a line to /etc/hosts; host-gateway is the host's address." placeholder:"NAME:IP|NAME=IP" sep:"none" group:"Network:"`
	NetworkAlias []string   `help:"Additional name of the container on the network." placeholder:"NAME" sep:"none" group:"Network:"`
	IP           string     `name:"ip" help:"IPv4 address of the container; it must be free." placeholder:"IP" group:"Network:"`

	DNSSearch []string `json:",omitempty" help:"Domain in which to look up incomplete names, instead of the host's; . for none." placeholder:"DOMAIN" sep:"none" group:"Network:"`
	DNSOption []string `json:",omitempty" aliases:"dns-opt" help:"Option of resolv.conf(5), such as ndots:2, instead of the host's." placeholder:"OPTION" sep:"none" group:"Network:"`

	Expose []string `json:",omitempty" help:"Expose a port of the container, as EXPOSE does for an image: 80, 53/udp, 5000-5009." placeholder:"PORT[/PROTOCOL]" sep:"none" group:"Network:"`

	Link []string `json:",omitempty" help:"Give a container on the same network another name, which only this one knows: db:database." placeholder:"CONTAINER[:ALIAS]" sep:"none" group:"Network:"`

	MacAddress string `json:",omitempty" help:"MAC address of the container's link, such as 02:42:0a:00:00:09." placeholder:"MAC" group:"Network:"`
}

// Wishes are the networks that the flags name.
func (o *Options) Wishes() ([]ipam.Wish, error) {
	return o.Network.Wishes(o.IP, o.MacAddress, o.NetworkAlias)
}

// Mode returns the kind of network that the flags ask for: see ipam.Wish. sharesHost is whether
// another flag shares the host's.
func (o *Options) Mode(sharesHost bool) (mode, other string, err error) {
	list, err := o.Wishes()
	if err != nil {
		return "", "", err
	}
	return list[0].Mode(sharesHost, len(o.Publish) > 0 || o.PublishAll || len(o.Link) > 0)
}

// First is the first of the networks that the flags name, "" without one.
func (o *Options) First() string {
	list, err := o.Wishes()
	if err != nil { // it was an error when the container was made
		return ""
	}
	return list[0].Network
}

// Networks are the networks that a container is made for, by name; the first may be a kind.
func (o *Options) Networks(sharesHost bool) []string {
	mode, _, err := o.Mode(sharesHost)
	list, errList := o.Wishes()
	if err != nil || errList != nil {
		return nil
	}
	names := []string{mode}
	for _, wish := range list[1:] {
		names = append(names, wish.Network)
	}
	return names
}

// Ports returns the ports to publish: those of --publish and, with -P, those that the image
// (exposed) and --expose name and --publish does not.
func (o *Options) Ports(exposed []string) ([]portmap.Mapping, error) {
	list, err := portmap.Parse(o.Publish)
	own, errOwn := o.exposed()
	if err = cmp.Or(err, errOwn); err != nil || !o.PublishAll {
		return list, err
	}
	isPublished := func(port string) bool {
		return slices.ContainsFunc(list, func(m portmap.Mapping) bool { return m.Port() == port })
	}
	specs := slices.Clone(o.Publish)
	for _, port := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(exposed, own)))) {
		if !isPublished(port) {
			specs = append(specs, port)
		}
	}
	return portmap.Parse(specs)
}

// Links returns the containers of --link by their aliases, in lower case as the resolver looks
// them up.
func (o *Options) Links(mode string) (map[string]string, error) {
	links := map[string]string{}
	for _, text := range o.Link {
		name, alias := splitLink(text)
		if !ids.IsName(name) || !ids.IsName(alias) {
			return nil, fmt.Errorf("--link %s: give a container and an alias, such as db:database", text)
		}
		if !ipam.HasBridge(mode) {
			return nil, fmt.Errorf("--link %s: there are no other containers on --network %s", text, mode)
		}
		if len(name) == 64 { // an id, which the leases have in its short form
			name = name[:12]
		}
		links[strings.ToLower(alias)] = strings.ToLower(name)
	}
	return links, nil
}

// splitLink returns the container of a link and its alias, which is the same if none is given.
func splitLink(text string) (name, alias string) {
	name, alias, found := strings.Cut(strings.TrimPrefix(text, "/"), ":")
	if !found {
		alias = name
	}
	return name, alias
}

// exposed are the ports of --expose.
func (o *Options) exposed() (ports []string, err error) {
	for _, text := range o.Expose {
		list, err := dockerfile.ParsePorts(text)
		if err != nil {
			return nil, fmt.Errorf("--expose %w", err)
		}
		ports = append(ports, list...)
	}
	return ports, nil
}

// OfItsOwn reports for each flag, by name, whether it was given, of those that make no sense for a
// container that shares another's network, and so its names and ports.
func (o *Options) OfItsOwn() map[string]bool {
	return map[string]bool{"--add-host": len(o.AddHost) > 0, "--dns": len(o.DNS) > 0,
		"--dns-search": len(o.DNSSearch) > 0, "--dns-option": len(o.DNSOption) > 0,
		"--publish": len(o.Publish) > 0, "--publish-all": o.PublishAll, "--expose": len(o.Expose) > 0,
		"--link": len(o.Link) > 0}
}

// ResolvConf returns the host's resolv.conf with the search domains and options of the flags, and
// apart from it the servers of --dns.
func (o *Options) ResolvConf() (conf string, servers []netip.Addr, err error) {
	servers, err = dns.ParseServers(o.DNS)
	err = cmp.Or(err, dns.CheckWords(o.DNSSearch, o.DNSOption))
	return dns.WithWords(etc.ResolvConf(), o.DNSSearch, o.DNSOption), servers, err
}

// Describe adds to a container, in the shape of the API, what the flags say that is not about one of
// its networks. Ports are those that are published one by one.
func (o *Options) Describe(d *api.Container) error {
	h := &d.HostConfig
	h.DNS, h.ExtraHosts, h.PublishAllPorts = append(h.DNS, o.DNS...), nil, o.PublishAll
	h.DNSSearch, h.DNSOptions = append(h.DNSSearch, o.DNSSearch...), append(h.DNSOptions, o.DNSOption...)
	for _, spec := range o.AddHost {
		name, ip := etc.ParseHost(spec)
		h.ExtraHosts = append(h.ExtraHosts, name+":"+ip)
	}
	for _, text := range o.Link {
		name, alias := splitLink(text)
		h.Links = append(h.Links, "/"+name+":"+d.Name+"/"+alias)
	}
	exposed, errExposed := o.exposed()
	for _, port := range exposed {
		d.Config.ExposedPorts = api.Set(d.Config.ExposedPorts, port)
	}
	ports, err := portmap.Parse(o.Publish)
	for _, m := range ports {
		port := m.Port()
		d.Config.ExposedPorts = api.Set(d.Config.ExposedPorts, port)
		h.PortBindings[port] = append(h.PortBindings[port], m.Binding())
	}
	return cmp.Or(err, errExposed)
}

// CheckBuild returns an error unless the flags of a build about the network of RUN are valid.
func CheckBuild(network string, addHost []string) error {
	shares := strings.HasPrefix(network, "container:")
	switch mode, _, err := (&Options{Network: ipam.Names{network}}).Mode(false); {
	case err != nil:
		return err
	case shares && len(addHost) > 0:
		return fmt.Errorf("--add-host and --network %s exclude one another", network)
	case !shares && ipam.HasBridge(mode) && !ipam.IsLabel(mode):
		return fmt.Errorf("--network %s: give none, host, container:NAME, or the name of a network", network)
	}
	return etc.CheckHosts(addHost)
}

// HostNames returns the names of a container in its own /etc/hosts: its host name, in full and
// short, and its name.
func HostNames(hostname, domain, name string) string {
	names := etc.HostNames(etc.FullName(hostname, domain))
	return strings.Join(slices.Compact(strings.Fields(names+" "+name)), " ")
}

// Hosts returns /etc/hosts: the container itself, by these names at its own addresses, and the lines
// of --add-host. As in Docker, --network none leaves out the container, and --network host shows the
// host's file. gateway is asked for the host's address where one of the lines needs it.
func (o *Options) Hosts(names string, own []string, gateway func() (netip.Addr, error)) (string, error) {
	if o.First() == "host" && len(o.AddHost) == 0 {
		data, err := os.ReadFile("/etc/hosts")
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return string(data), err
	}
	switch {
	case o.First() == "none" || o.First() == "host":
		own = nil
	case len(own) == 0:
		own = []string{"127.0.1.1"}
	}
	text := etc.Hosts(names, own...)
	for _, spec := range o.AddHost {
		name, addr, err := etc.Host(spec)
		if err == nil && !addr.IsValid() {
			if addr, err = gateway(); err != nil {
				err = fmt.Errorf("--add-host %s: %w", spec, err)
			}
		}
		if err != nil {
			return "", err
		}
		text += addr.String() + "\t" + name + "\n"
	}
	return text, nil
}
