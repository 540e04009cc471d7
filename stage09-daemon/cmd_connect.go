// The commands that connect a container to a network and disconnect it, and what they note in its
// record. connect.go does it in the kernel, while the container runs.

package main

import (
	"slices"

	"stagebox/stage03-rootfs/etc"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/netflags"
)

type networkConnectCmd struct {
	Network string `arg:"" help:"A network, by name."`
	Name    string `arg:"" name:"container" help:"A container, by name, id or id prefix."`

	netflags.ConnectOptions

	Store Store `embed:""`
}

// Run is `box network connect`.
func (c *networkConnectCmd) Run() error {
	wish, err := c.Wish(c.Network)
	if err != nil {
		return err
	}
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	return r.connectTo(wish)
}

type networkDisconnectCmd struct {
	Network string `arg:"" help:"A network, by name."`
	Name    string `arg:"" name:"container" help:"A container, by name, id or id prefix."`
	Force   bool   `short:"f" help:"Succeed if the container is not on the network."`

	Store Store `embed:""`
}

// Run is `box network disconnect`.
func (c *networkDisconnectCmd) Run() error {
	r, err := c.Store.find(c.Name)
	if err == nil && !(c.Force && !r.isOn(c.Network)) {
		err = r.disconnectFrom(c.Network)
	}
	return err
}

// connectTo connects a container to one more network: now, if it runs, and whenever it starts.
func (r *Record) connectTo(wish ipam.Wish) error {
	names := r.Run.networkNames()
	isKept := r.store.networks().IsKept(r.ID)
	left := names[0] == "none" && (!r.isRunning() || isKept) // it was disconnected from all, perhaps
	switch {
	case slices.Contains(names, wish.Network):
		return fault.Forbidden.Errorf("network connect %s: container %s is on it already", wish.Network, r.Name)
	case !ipam.HasBridge(names[0]) && !left:
		return fault.Forbidden.Errorf("network connect %s: container %s is on %s, and has no second network",
			wish.Network, r.Name, names[0])
	}
	if _, err := r.store.networks().findOrCreate(wish.Network, false); err != nil {
		return err
	}
	if r.isRunning() {
		if err := r.plugIn(wish); err != nil {
			return err
		}
	}
	return r.amend(func(now *Record) error {
		w := now.Run.networkOptions()
		if left {
			w.Network = nil
		}
		now.Run.Network = append(w.Network, wish.String())
		return nil
	})
}

// disconnectFrom takes a container off a network: now, if it runs, and whenever it starts.
func (r *Record) disconnectFrom(name string) error {
	names := r.Run.networkNames()
	at := slices.Index(names, name)
	if at < 0 || !ipam.HasBridge(name) {
		return fault.NotFound.Errorf("network disconnect %s: container %s is not on it", name, r.Name)
	}
	if r.isRunning() {
		if err := r.unplug(name); err != nil {
			return err
		}
	}
	return r.amend(func(now *Record) error {
		w := now.Run.networkOptions()
		if now.Run.Network = slices.Delete(w.Network, at, at+1); at == 0 {
			now.Run.NetworkAlias, now.Run.IP, now.Run.MacAddress = nil, "", ""
		}
		if len(now.Run.Network) == 0 {
			now.Run.Network = []string{"none"}
		}
		return nil
	})
}

// renumber changes /etc/hosts of a container that runs.
func (r *Record) renumber(gone, come ipam.Lease) error {
	names := netflags.HostNames(r.Run.Hostname, r.Run.Domainname, r.Name)
	return etc.Renumber(r.path("hosts"), names, gone.Addresses(), come.Addresses())
}

// noteWay notes the address of a container that runs, and whether its ports are published there.
func (r *Record) noteWay(address string, published bool) error {
	return r.amend(func(now *Record) error {
		s := &now.State
		ports := append(s.Ports, s.Withdrawn...)
		if s.Address, s.Ports, s.Withdrawn = address, nil, ports; published {
			s.Ports, s.Withdrawn = ports, nil
		}
		return nil
	})
}
