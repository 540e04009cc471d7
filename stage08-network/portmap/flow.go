package portmap

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/attr"
	"stagebox/stage08-network/nft"
)

// Attributes of a direction of a flow, in linux/netfilter/nfnetlink_conntrack.h.
const (
	ctaIP, ctaProto        = 1, 2
	ctaSource4, ctaSource6 = 1, 3
	ctaNumber              = 1
)

// Sender returns the sender in one direction of a flow, CTA_TUPLE_ORIG or CTA_TUPLE_REPLY, and the
// protocol.
func Sender(tuple []byte) (from netip.Addr, proto byte) {
	parts := attr.Map(tuple, 0)
	ip := attr.Map(parts[ctaIP], 0)
	from, _ = netip.AddrFromSlice(slices.Concat(ip[ctaSource4], ip[ctaSource6]))
	if number := attr.Map(parts[ctaProto], 0)[ctaNumber]; len(number) > 0 {
		proto = number[0]
	}
	return from, proto
}

// LeadsTo reports whether an element of a list redirects a UDP port to a container.
func LeadsTo(list []nft.Element, container netip.Addr) bool {
	return slices.ContainsFunc(list, func(e nft.Element) bool {
		to, _ := netip.AddrFromSlice(e.Data[:max(len(e.Data)-4, 0)]) // the port follows
		return IsUDP(e) && to == container
	})
}

// IsUDP reports whether an element publishes a UDP port: the key ends with protocol and port.
func IsUDP(e nft.Element) bool {
	return len(e.Key) >= 8 && e.Key[len(e.Key)-8] == unix.IPPROTO_UDP
}
