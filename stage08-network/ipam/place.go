package ipam

import (
	"errors"
	"net/netip"
)

// Place is what a container has on one network.
type Place struct {
	Network *Network
	Lease   Lease
}

// LeadsOut reports whether packets leave the network for elsewhere.
func (p Place) LeadsOut() bool { return !p.Network.Internal }

// PlacesOf returns the networks that a container has leases on.
func (d Dir) PlacesOf(id string) (list []Place, err error) {
	all, err := d.List()
	for _, n := range all {
		live, _, errRead := d.Leases(n)
		err = errors.Join(err, errRead)
		for _, l := range live {
			if l.ID == id {
				list = append(list, Place{n, l})
			}
		}
	}
	return list, err
}

// WayTo returns the address that the published ports of a container lead to: the one that it began
// with or, if it has left that network, one on another network. It is invalid if no network of the
// container leads out.
func (d Dir) WayTo(l Lease) (to netip.Addr) {
	all, _ := d.PlacesOf(l.ID) // without them, there is no way
	for _, p := range all {
		if p.Lease.Addr == l.Addr {
			return l.Addr
		}
		if p.LeadsOut() && !to.IsValid() {
			to = p.Lease.Addr
		}
	}
	return to
}
