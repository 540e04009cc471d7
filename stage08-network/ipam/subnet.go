// Which subnet a new network gets, one that nothing else on the host uses, and which of its
// addresses is free for a container.

package ipam

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"

	"stagebox/stage04-unionfs/fault"
	"stagebox/stage08-network/rtnl"
)

// Use is a range of addresses that something on the host uses already.
type Use struct {
	Prefix netip.Prefix
	By     string // the user, as an error names it after "overlaps with"
}

// ChooseSubnet checks that the given subnet is IPv4, has room for hosts and overlaps with
// nothing in use, or takes the first free candidate if none is given (the zero Prefix). The
// candidates are 10.201.0.0/16 to 10.250.0.0/16, then 192.168.201.0/24 to 192.168.250.0/24.
func ChooseSubnet(given netip.Prefix, uses []Use) (netip.Prefix, error) {
	if !given.IsValid() {
		for _, s := range candidates() {
			if overlap(s, uses) == "" {
				return s, nil
			}
		}
		return given, fault.Forbidden.New("every subnet from 10.201.0.0/16 to 10.250.0.0/16 and from" +
			" 192.168.201.0/24 to 192.168.250.0/24 overlaps with something: give one with --subnet")
	}
	given = given.Masked()
	isForHosts := given.Bits() >= 8 && given.Bits() <= 29 && given.Addr().IsGlobalUnicast()
	if !given.Addr().Is4() || !isForHosts {
		return given, fmt.Errorf("--subnet %s: give an IPv4 subnet for hosts, from /8 to /29;"+
			" IPv6 comes by itself", given)
	}
	if other := overlap(given, uses); other != "" {
		return given, fault.Forbidden.Errorf("--subnet %s overlaps with %s: choose another,"+
			" or leave --subnet out", given, other)
	}
	return given, nil
}

// candidates are subnets that are seldom in use elsewhere.
func candidates() (list []netip.Prefix) {
	for i := byte(201); i <= 250; i++ {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, i}), 16))
	}
	for i := byte(201); i <= 250; i++ {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, i}), 24))
	}
	return list
}

// overlap returns the first user of addresses in a subnet, or nothing.
func overlap(s netip.Prefix, uses []Use) string {
	for _, use := range uses {
		if s.Overlaps(use.Prefix) {
			return use.By
		}
	}
	return ""
}

// UniqueLocal makes a subnet of unique local IPv6 addresses, with the 40 random bits that
// RFC 4193 wants.
func UniqueLocal() netip.Prefix {
	local := [16]byte{0xfd}
	rand.Read(local[1:6])
	return netip.PrefixFrom(netip.AddrFrom16(local), 64)
}

// Nth returns the address of a subnet with a number: 0 is the subnet itself, 1 the first host.
func Nth(subnet netip.Prefix, number uint32) netip.Addr {
	b := subnet.Masked().Addr().AsSlice()
	tail := b[len(b)-4:]
	binary.BigEndian.PutUint32(tail, binary.BigEndian.Uint32(tail)+number)
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// Pool is where the addresses of a network's containers come from.
type Pool struct {
	Network string // its name, for errors
	Subnet  netip.Prefix
	Gateway netip.Addr
	Range   netip.Prefix // the part of the subnet to choose from; invalid for all of it
}

// Free returns the number of the wanted address, or of the lowest free one if wanted is
// invalid; Nth turns it into an address. The subnet itself, the gateway, the broadcast address
// and those of leases are not free.
func (p Pool) Free(leases []Lease, wanted netip.Addr) (uint32, error) {
	last := uint32(1)<<(32-p.Subnet.Bits()) - 1
	taken := map[netip.Addr]string{p.Gateway: "the gateway", Nth(p.Subnet, 0): "the subnet itself",
		Nth(p.Subnet, last): "broadcasts"}
	for _, l := range leases {
		taken[l.Addr] = "container " + l.Label()
	}
	if wanted.IsValid() {
		return p.check(wanted, taken[wanted])
	}
	from, pool := uint32(1), p.Subnet
	if p.Range.IsValid() {
		from, pool = max(1, Number(p.Subnet, p.Range.Masked().Addr())), p.Range
	}
	for i := from; i < last && pool.Contains(Nth(p.Subnet, i)); i++ {
		if taken[Nth(p.Subnet, i)] == "" {
			return i, nil
		}
	}
	return 0, fmt.Errorf("network %s has no address left: all of %s are taken;"+
		" box network create --subnet makes a larger one", p.Network, pool)
}

// check returns the number of a wanted address, which may be taken.
func (p Pool) check(wanted netip.Addr, owner string) (uint32, error) {
	switch {
	case !p.Subnet.Contains(wanted):
		return 0, fmt.Errorf("--ip %s is not in %s, the subnet of network %s",
			wanted, p.Subnet, p.Network)
	case owner != "":
		return 0, fmt.Errorf("--ip %s is taken: by %s", wanted, owner)
	}
	return Number(p.Subnet, wanted), nil
}

// Number returns the number of an IPv4 address in its subnet: the opposite of Nth.
func Number(subnet netip.Prefix, addr netip.Addr) uint32 {
	b, base := addr.As4(), subnet.Masked().Addr().As4()
	return binary.BigEndian.Uint32(b[:]) - binary.BigEndian.Uint32(base[:])
}

// Narrow sets the gateway of a new network and the range of its containers' addresses. Both may be
// "", for the default.
func (n *Network) Narrow(subnet netip.Prefix, gateway, within string) (err error) {
	if gateway != "" {
		if n.Gateway, err = netip.ParseAddr(gateway); err != nil || !n.Gateway.Is4() || !subnet.Contains(n.Gateway) || isEnd(subnet, n.Gateway) {
			return fmt.Errorf("--gateway %s: give an address of a host in the network's --subnet", gateway)
		}
	}
	if within != "" {
		n.Range, err = netip.ParsePrefix(within)
		if err != nil || !n.Range.Addr().Is4() || !subnet.Contains(n.Range.Addr()) || n.Range.Bits() < subnet.Bits() {
			return fmt.Errorf("--ip-range %s: give a part of the network's --subnet, such as 10.20.128.0/17", within)
		}
	}
	return nil
}

// isEnd reports whether an address is the first or the last of a subnet, which no host has.
func isEnd(subnet netip.Prefix, addr netip.Addr) bool {
	return Number(subnet, addr) == 0 || Number(subnet, addr) == uint32(1)<<(32-subnet.Bits())-1
}

// InUse are the subnets that are taken: those of networks, and those that the host has routes to.
func InUse(others []*Network, routes []rtnl.Route) (uses []Use) {
	for _, n := range others {
		by := fmt.Sprintf("%s of network %s", n.Subnet, n.Name)
		uses = append(uses, Use{Prefix: n.Subnet, By: by})
	}
	for _, r := range routes {
		if r.To.Bits() > 0 {
			by := fmt.Sprintf("the host's route to %s", r.To.Masked())
			uses = append(uses, Use{Prefix: r.To, By: by})
		}
	}
	return uses
}

// ParseSubnet reads a value of --subnet; "" is none, which is not valid.
func ParseSubnet(text string) (subnet netip.Prefix, err error) {
	if text == "" {
		return subnet, nil
	}
	if subnet, err = netip.ParsePrefix(text); err != nil {
		err = fmt.Errorf("--subnet %s: give an address and how many of its bits are the network's,"+
			" such as 10.20.0.0/16", text)
	}
	return subnet, err
}
