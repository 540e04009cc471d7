// Networks, and what containers have of them, in the shapes of the Docker Engine API, for inspect.

package main

import (
	"cmp"
	"errors"
	"fmt"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/portmap"
)

// describeNetwork is a network in the shape of the API.
func (s Store) describeNetwork(name string) (any, error) {
	dir := s.networks()
	if !ipam.IsLabel(name) {
		return nil, nil
	}
	n, err := dir.Find(name)
	if errors.Is(err, ipam.ErrNoNetwork) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return dir.Describe(n)
}

// describeNetwork adds to a container what its flags say of the network, and while it runs, how
// it is connected.
func (r *Record) describeNetwork(d *api.Container) error {
	w := r.Run.networkOptions()
	mode, other, err := w.Mode(r.Run.sharesNetwork())
	list, errList := w.Wishes()
	if err := cmp.Or(err, errList, w.Describe(d)); err != nil {
		return err
	}
	r.describeMode(&d.HostConfig, mode, other)
	d.NetworkSettings.Networks = map[string]*api.Endpoint{}
	if mode == "container" {
		return nil
	}
	list[0].Network = mode
	for _, wish := range list {
		d.NetworkSettings.Networks[wish.Network] = &api.Endpoint{Aliases: wish.Aliases}
	}
	if !r.isRunning() {
		return nil
	}
	return r.describeConnection(d, list)
}

// describeMode adds the kind of network, and whose it is if that of another container.
func (r *Record) describeMode(h *api.HostConfig, mode, other string) {
	if h.NetworkMode = mode; mode == "container" {
		if shared, err := r.store.find(other); err == nil {
			other = shared.ID
		}
		h.NetworkMode += ":" + other
	}
}

// describeConnection adds how a container that runs is connected: its ports and its addresses.
func (r *Record) describeConnection(d *api.Container, list []ipam.Wish) error {
	settings := &d.NetworkSettings
	for port := range d.Config.ExposedPorts {
		settings.Ports[port] = nil
	}
	for _, published := range r.State.Ports {
		port, binding := portmap.Split(published)
		settings.Ports[port] = append(settings.Ports[port], binding)
	}
	settings.SandboxKey = fmt.Sprintf("/proc/%d/ns/net", r.State.PID)
	for _, wish := range list {
		if err := r.describeEndpoint(settings, wish); err != nil {
			return err
		}
	}
	return nil
}

// describeEndpoint adds the addresses that a running container has on a network with a bridge.
func (r *Record) describeEndpoint(settings *api.NetworkSettings, wish ipam.Wish) error {
	e, err := r.store.networks().EndpointOf(wish.Network, r.ID)
	if err != nil || e == nil {
		return err
	}
	e.Aliases = wish.Aliases
	settings.Networks[wish.Network] = e
	if wish.Network == defaultNetwork { // as Docker: the addresses on the default one are here too
		settings.Default(e)
	}
	return nil
}
