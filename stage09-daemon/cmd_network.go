// The commands about networks, network create, ls, inspect and rm, and the flags of other
// commands about a container's network: how they are read and checked. networks.go and wiring.go
// do the work.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"stagebox/stage03-rootfs/etc"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage08-network/netflags"
	"stagebox/stage08-network/picture"
)

type networkCmd struct {
	Create  networkCreateCmd  `cmd:"" help:"Create a network, on which containers find each other by name."`
	Ls      networkLsCmd      `cmd:"" help:"List networks."`
	Inspect networkInspectCmd `cmd:"" help:"Show details of networks, or draw them."`
	Rm      networkRmCmd      `cmd:"" help:"Remove networks that no container uses."`

	Connect    networkConnectCmd    `cmd:"" help:"Connect a container to one more network."`
	Disconnect networkDisconnectCmd `cmd:"" help:"Disconnect a container from a network."`
}

func (s Store) networks() networks { return networksIn(s.path("networks")) }

type networkCreateCmd struct {
	netflags.CreateOptions

	Store Store `embed:""`
}

// Run is `box network create`.
func (c *networkCreateCmd) Run() error {
	if os.Geteuid() != 0 {
		return fault.Forbidden.New("network create: only root may make a bridge; an ordinary user's container" +
			" has a network of its own, through pasta or slirp4netns")
	}
	n, subnet, err := c.NewNetwork()
	if err != nil {
		return err
	}
	if err := c.Store.networks().create(n, subnet, false); err != nil {
		return err
	}
	_, err = fmt.Println(n.Name)
	return err
}

type networkLsCmd struct {
	Quiet bool `short:"q" help:"Print only names."`

	Store Store `embed:""`
}

// Run is `box network ls`.
func (c *networkLsCmd) Run() error { return c.Store.networks().Write(os.Stdout, c.Quiet) }

type networkInspectCmd struct {
	Names   []string     `arg:"" name:"network" help:"Networks, by name."`
	Format  string       `short:"f" help:"Format with a Go template, such as {{json .IPAM.Config}}." placeholder:"TEMPLATE"`
	Picture picture.Form `help:"Draw the networks as they are in the kernel now; =svg for browsers." placeholder:"svg"`

	Store Store `embed:""`
}

// Run is `box network inspect`.
func (c *networkInspectCmd) Run() error {
	if c.Picture == "" {
		return (&inspectCmd{Names: c.Names, Format: c.Format, Type: "network", Store: c.Store}).Run()
	}
	return batch.Each(c.Names, func(name string) error {
		n, err := c.Store.networks().Find(name)
		if err != nil {
			return err
		}
		p, err := c.Store.networks().picture(n)
		if err == nil {
			_, err = fmt.Print(p.In(c.Picture))
		}
		return err
	})
}

type networkRmCmd struct {
	Names []string `arg:"" name:"network" help:"Networks, by name."`
	Force bool     `short:"f" help:"Remove a network that may belong to another network namespace, and leave what it has there."`

	Store Store `embed:""`
}

// Run is `box network rm`.
func (c *networkRmCmd) Run() error {
	return batch.Print(c.Names, func(name string) error { return c.Store.networks().remove(name, c.Force) })
}

// NetworkOptions are the flags about a container's network.
type NetworkOptions = netflags.Options

// Networking is a container's network: what the flags say of it, and how it is connected.
type Networking struct {
	NetworkOptions

	link *link
}

// sharesNetwork reports whether --share gives the container the host's network.
func (iso Isolation) sharesNetwork() bool { return slices.Contains(iso.Share, "net") }

// sharedNetwork finds the container whose network this one shares, if it does. It shares the other's
// files of /etc too, so none of the flags about them makes sense.
func (c *Container) sharedNetwork() (*Record, error) {
	name, shares := strings.CutPrefix(c.First(), "container:")
	if !shares {
		return nil, nil
	}
	conflict := c.OfItsOwn()
	for _, flag := range []string{"--hostname", "--domainname"} {
		conflict[flag] = slices.Contains(c.given, flag)
	}
	if flag := c.firstGiven(conflict); flag != "" {
		return nil, fmt.Errorf("%s and --network container:%s exclude one another:"+
			" a container that shares a network shares its names and ports too", flag, name)
	}
	other, err := c.Store.find(name)
	if err != nil {
		err = fmt.Errorf("--network container:%s: %w", name, err)
	}
	return other, err
}

// isOn reports whether a container is made for a network.
func (r *Record) isOn(network string) bool {
	return slices.Contains(r.Run.networkNames(), network)
}

// networkNames are the networks that a container is made for.
func (c *Container) networkNames() []string {
	w := c.networkOptions()
	return w.Networks(c.sharesNetwork())
}

// checkNetwork refuses, when a container is made, what no network could satisfy.
func (c *Container) checkNetwork() error {
	_, errShared := c.sharedNetwork()
	_, _, _, err := new(link).read(&c.NetworkOptions, c.Isolation, nil)
	return cmp.Or(errShared, err, etc.CheckHosts(c.AddHost))
}

// writeNames puts nameFiles in the container's directory, from which it has them mounted. A container
// that shares the network of another has the other's files, under further names (link(2)): what
// one of the two writes, the other reads.
func (c *Container) writeNames() error {
	if c.record == nil || c.DryRun {
		return nil
	}
	content := []string{c.Hostname + "\n", c.link.hosts, c.link.resolvConf()}
	for i, name := range nameFiles {
		path, err := c.record.path(name), error(nil)
		if c.link.other == nil {
			err = state.Write(path, []byte(content[i]), 0o644, state.Volatile)
		} else if err = os.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
			err = os.Link(c.link.other.path(name), path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hostGateway is the host's address on the container's bridge, or else on the default one.
func (l *link) hostGateway() (netip.Addr, error) {
	if l.network != nil {
		return l.network.Gateway, nil
	}
	if os.Geteuid() != 0 {
		return netip.Addr{}, errors.New("an ordinary user has no bridge")
	}
	n, err := l.dir.findOrCreate(defaultNetwork, l.dry)
	if err != nil {
		return netip.Addr{}, err
	}
	return n.Gateway, nil
}

// checkNetwork refuses, before a step is built, what the flags about the network of RUN cannot mean.
func (c *buildCmd) checkNetwork() error {
	return netflags.CheckBuild(c.Network, c.AddHost)
}

// hosts are lines of /etc/hosts of RUN: as in BuildKit it finds itself on every network, but for that
// of another container, whose file it has.
func (b *builder) hosts(hostname, network string) []string {
	if strings.HasPrefix(network, "container:") {
		return nil
	}
	return append([]string{hostname + "=127.0.0.1"}, b.AddHost...)
}

// networkInput is what a step depends on of the network, for its key in the cache.
func (b *builder) networkInput(in *dockerfile.Instruction) string {
	return strings.Join(append([]string{b.networkOf(in)}, b.AddHost...), " ")
}
