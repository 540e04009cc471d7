// Networks, and what containers have of them, in the shapes of the Docker Engine API, for inspect.

package main

import (
	"stagebox/stage04-unionfs/api"
	"stagebox/stage08-network/netflags"
)

// describeNetwork is a network in the shape of the API, nil if there is none of that name.
func (s Store) describeNetwork(name string) (any, error) {
	n, err := s.networks().DescribeNamed(name)
	if n == nil || err != nil {
		return nil, err
	}
	return n, nil
}

// describeNetwork adds to a container what its flags say of the network, and while it runs, how
// it is connected.
func (r *Record) describeNetwork(d *api.Container) error {
	w := r.Run.networkOptions()
	list, err := w.DescribeNetworks(d, r.Run.sharesNetwork(), func(name string) string {
		if shared, err := r.store.find(name); err == nil {
			return shared.ID
		}
		return name
	})
	if err != nil || !r.isRunning() {
		return err
	}
	return netflags.DescribeConnection(d, r.store.networks().Dir, list, r.State.PID, r.State.Ports)
}
