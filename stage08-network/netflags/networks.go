package netflags

import (
	"cmp"
	"fmt"
	"net/netip"

	"stagebox/stage04-unionfs/labels"
	"stagebox/stage08-network/ipam"
)

// CreateOptions are the argument and the flags of network create.
type CreateOptions struct {
	Name     string `arg:"" help:"Name of the network."`
	Subnet   string `help:"IPv4 subnet of the network (default: an unused one)." placeholder:"IP/BITS"`
	Internal bool   `help:"Give the network no route to the outside."`

	Label []string `help:"Set a label." placeholder:"KEY=VALUE" sep:"none"`

	Gateway string `help:"IPv4 address of the bridge (default: the first of the subnet)." placeholder:"IP"`
	IPRange string `name:"ip-range" help:"Part of the subnet from which containers get addresses (default: all of it)." placeholder:"IP/BITS"`
}

// NewNetwork returns the network that the flags ask for, and its IPv4 subnet, which is invalid if
// --subnet is not given.
func (o *CreateOptions) NewNetwork() (n *ipam.Network, subnet netip.Prefix, err error) {
	if subnet, err = ipam.ParseSubnet(o.Subnet); err != nil {
		return nil, subnet, err
	}
	list, err := labels.Read(nil, o.Label)
	if err != nil {
		return nil, subnet, err
	}
	n = &ipam.Network{Name: o.Name, Internal: o.Internal, Labels: labels.Map(list)}
	return n, subnet, n.Narrow(subnet, o.Gateway, o.IPRange)
}

// ConnectOptions are the flags of network connect, about the container on that network.
type ConnectOptions struct {
	IP    string   `name:"ip" help:"IPv4 address of the container there; it must be free." placeholder:"IP"`
	MAC   string   `name:"mac-address" help:"MAC address of the container's link there." placeholder:"MAC"`
	Alias []string `help:"Additional name of the container there." placeholder:"NAME" sep:"none"`
}

// Wish returns what the flags ask for on a network.
func (o *ConnectOptions) Wish(network string) (ipam.Wish, error) {
	wish := ipam.Wish{Network: network, Aliases: o.Alias}
	if err := cmp.Or(wish.SetIP(o.IP), wish.SetMAC(o.MAC)); err != nil {
		return wish, fmt.Errorf("--%w", err)
	}
	return wish, wish.CheckAliases("--alias")
}
