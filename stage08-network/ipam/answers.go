package ipam

import (
	"strings"

	"stagebox/stage08-network/dns"
)

// Answer adds what leases of the network say of a name, which is in lower case, to a resolver's answer.
func (n *Network) Answer(list []Lease, name string, found *dns.Records) {
	suffix := "." + n.Name
	short := strings.TrimSuffix(name, strings.ToLower(suffix))
	for _, l := range list {
		switch matches := l.hasName(name) || l.hasName(short); {
		case l.hasAddress(name):
			found.Names = append(found.Names, l.Label()+suffix)
		case matches && l.Addr6.IsValid():
			found.Addrs = append(found.Addrs, l.Addr, l.Addr6)
		case matches:
			found.Addrs = append(found.Addrs, l.Addr)
		}
	}
}

// hasAddress reports whether a question asks for the name of one of the addresses.
func (l Lease) hasAddress(name string) bool {
	return name == dns.ReverseName(l.Addr) || l.Addr6.IsValid() && name == dns.ReverseName(l.Addr6)
}
