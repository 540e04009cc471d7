package netflags

import (
	"cmp"
	"fmt"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/portmap"
)

// DescribeNetworks adds to a container, in the shape of the API, all that the flags say of its network:
// the kind of the first, and those with a bridge, which it returns too. sharesHost is as for Mode. idOf
// returns the id of another container whose network is shared, or its name if there is none.
func (o *Options) DescribeNetworks(d *api.Container, sharesHost bool, idOf func(name string) string) (
	[]ipam.Wish, error) {
	mode, other, err := o.Mode(sharesHost)
	list, errList := o.Wishes()
	if err := cmp.Or(err, errList, o.Describe(d)); err != nil {
		return nil, err
	}
	d.HostConfig.NetworkMode, d.NetworkSettings.Networks = mode, map[string]*api.Endpoint{}
	if mode == "container" {
		d.HostConfig.NetworkMode += ":" + idOf(other)
		return nil, nil
	}
	list[0].Network = mode
	for _, wish := range list {
		d.NetworkSettings.Networks[wish.Network] = &api.Endpoint{Aliases: wish.Aliases}
	}
	return list, nil
}

// DescribeConnection adds how a container that runs is connected: its ports, as portmap.Published has
// them, and its addresses on the networks of a directory. One that shares the network of another has
// none of its own: list is empty, and nothing is added.
func DescribeConnection(d *api.Container, dir ipam.Dir, list []ipam.Wish, pid int, ports []string) error {
	if len(list) == 0 {
		return nil
	}
	settings := &d.NetworkSettings
	for port := range d.Config.ExposedPorts {
		settings.Ports[port] = nil
	}
	for _, published := range ports {
		port, binding := portmap.Split(published)
		settings.Ports[port] = append(settings.Ports[port], binding)
	}
	settings.SandboxKey = fmt.Sprintf("/proc/%d/ns/net", pid)
	for _, wish := range list {
		if err := describeEndpoint(settings, dir, wish, d.ID); err != nil {
			return err
		}
	}
	return nil
}

// describeEndpoint adds the addresses that a running container has on a network with a bridge.
func describeEndpoint(settings *api.NetworkSettings, dir ipam.Dir, wish ipam.Wish, id string) error {
	e, err := dir.EndpointOf(wish.Network, id)
	if err != nil || e == nil {
		return err
	}
	e.Aliases = wish.Aliases
	settings.Networks[wish.Network] = e
	if wish.Network == ipam.Default { // as Docker: the addresses on the default one are here too
		settings.Default(e)
	}
	return nil
}
