package nft

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// Code is the program of a rule, or a part of one. Where a register is not given it is 1. There
// are four registers of 16 bytes, 1 to 4, and the same as 16 of four bytes, 8 to 23: register 9
// is the second quarter of register 1.
type Code []byte

// Join joins the parts of a rule.
func Join(parts ...Code) Code { return slices.Concat(parts...) }

func expression(name string, data attributes) Code {
	e := attributes{}.text(unix.NFTA_EXPR_NAME, name).nest(unix.NFTA_EXPR_DATA, data)
	return Code(attributes{}.nest(unix.NFTA_LIST_ELEM, e))
}

// Meta loads what is known about a packet besides its bytes: key is one of unix.NFT_META_*.
func Meta(key, register uint32) Code {
	return expression("meta", attributes{}.number(unix.NFTA_META_DREG, register).
		number(unix.NFTA_META_KEY, key))
}

// Network loads size bytes of the IP header, from offset on, into a register. Register 1 has 16
// bytes, those from 8 on have 4 each: 1 is also 8 to 11, 2 is 12 to 15.
func Network(offset, size, register uint32) Code {
	return payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, size, register)
}

// Transport loads size bytes of the header of TCP or UDP, from offset on.
func Transport(offset, size, register uint32) Code {
	return payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, size, register)
}

func payload(base, offset, size, register uint32) Code {
	return expression("payload", attributes{}.number(unix.NFTA_PAYLOAD_DREG, register).
		number(unix.NFTA_PAYLOAD_BASE, base).number(unix.NFTA_PAYLOAD_OFFSET, offset).
		number(unix.NFTA_PAYLOAD_LEN, size))
}

// Equal ends the rule unless register 1 begins with value.
func Equal(value ...byte) Code { return compare(unix.NFT_CMP_EQ, value) }

// NotEqual ends the rule if register 1 begins with value.
func NotEqual(value ...byte) Code { return compare(unix.NFT_CMP_NEQ, value) }

func compare(op uint32, v []byte) Code {
	return expression("cmp", attributes{}.number(unix.NFTA_CMP_SREG, 1).number(unix.NFTA_CMP_OP, op).
		nest(unix.NFTA_CMP_DATA, value(v)))
}

// In ends the rule unless what begins at register 1 is a key of a set.
func In(set string) Code {
	return expression("lookup", lookup(set))
}

// NotIn ends the rule if what begins at register 1 is a key of a set.
func NotIn(set string) Code {
	return expression("lookup", lookup(set).number(unix.NFTA_LOOKUP_FLAGS, unix.NFT_LOOKUP_F_INV))
}

func lookup(set string) attributes {
	return attributes{}.text(unix.NFTA_LOOKUP_SET, set).number(unix.NFTA_LOOKUP_SREG, 1)
}

// DNAT looks a key up in a map, and sends the packet to the address and port that it finds
// there. Family is that of the address, unix.NFPROTO_IPV4 or IPV6.
func DNAT(set string, family byte) Code {
	port := uint32(9)
	if family == unix.NFPROTO_IPV6 {
		port = 12
	}
	return Join(expression("lookup", lookup(set).number(unix.NFTA_LOOKUP_DREG, 1)),
		expression("nat", attributes{}.number(unix.NFTA_NAT_TYPE, unix.NFT_NAT_DNAT).
			number(unix.NFTA_NAT_FAMILY, uint32(family)).
			number(unix.NFTA_NAT_REG_ADDR_MIN, 1).number(unix.NFTA_NAT_REG_PROTO_MIN, port)))
}

// Masquerade gives the packet the address of the host, on the interface by which it leaves.
func Masquerade() Code { return expression("masq", nil) }

// Conntrack ends the rule unless any bit of mask is set in what the kernel knows about the
// packet's connection: key is one of unix.NFT_CT_*.
func Conntrack(key, mask uint32) Code {
	return Join(
		expression("ct", attributes{}.number(unix.NFTA_CT_DREG, 1).number(unix.NFTA_CT_KEY, key)),
		expression("bitwise", attributes{}.number(unix.NFTA_BITWISE_SREG, 1).
			number(unix.NFTA_BITWISE_DREG, 1).number(unix.NFTA_BITWISE_LEN, 4).
			nest(unix.NFTA_BITWISE_MASK, value(native(mask))).nest(unix.NFTA_BITWISE_XOR, value(native(0)))),
		NotEqual(native(0)...))
}

// ToHost ends the rule unless the packet is for an address of the host (fib daddr type local).
func ToHost() Code {
	const daddr, addressType = 2, 3 // NFTA_FIB_F_DADDR, NFT_FIB_RESULT_ADDRTYPE
	return Join(expression("fib", attributes{}.number(1, 1).number(2, addressType).number(3, daddr)),
		Equal(native(unix.RTN_LOCAL)...))
}

// Accept ends the chain, and lets the packet pass.
func Accept() Code { return verdict(attributes{}.number(unix.NFTA_VERDICT_CODE, 1)) }

// Drop drops the packet.
func Drop() Code { return verdict(attributes{}.number(unix.NFTA_VERDICT_CODE, 0)) }

// Jump goes on with another chain, and comes back.
func Jump(chain string) Code {
	return verdict(attributes{}.number(unix.NFTA_VERDICT_CODE, 1<<32+unix.NFT_JUMP).
		text(unix.NFTA_VERDICT_CHAIN, chain))
}

func verdict(v attributes) Code {
	return expression("immediate", attributes{}.number(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT).
		nest(unix.NFTA_IMMEDIATE_DATA, attributes{}.nest(unix.NFTA_DATA_VERDICT, v)))
}

func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
