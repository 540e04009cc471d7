// The role "links": a veth pair, a bridge and an address translation in a network
// namespace of its own, and the one question about packets that goes to the host's: which
// chains drop what is forwarded. A netlink message is a header, a fixed part, and
// attributes, each a length, a type and a value padded to four bytes: netlink(7), rtnetlink(7).
package host

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

var native, network = binary.NativeEndian, binary.BigEndian

const drop = 0 // NF_DROP of <linux/netfilter.h>

func (o Outcomes) tryLinks() {
	const create = unix.NLM_F_CREATE | unix.NLM_F_EXCL | unix.NLM_F_ACK
	for _, kind := range []string{"veth", "bridge"} {
		link := message(unix.RTM_NEWLINK, create, make([]byte, unix.SizeofIfInfomsg),
			text(unix.IFLA_IFNAME, "box-"+kind),
			attr(unix.IFLA_LINKINFO|unix.NLA_F_NESTED, text(unix.IFLA_INFO_KIND, kind)))
		o.note(kind, "RTM_NEWLINK "+kind, ask(unix.NETLINK_ROUTE, link, nil))
	}
	o.note("nftables", "NFT_MSG_NEWRULE masquerade", ask(unix.NETLINK_NETFILTER, masquerade("box-probe"), nil))
}

// masquerade is the transaction that makes a table with a chain behind the routing
// decision, and one rule in it that gives every packet the host's address. Only the last
// message asks for an answer; an earlier one that fails answers anyway.
func masquerade(table string) []byte {
	const create = unix.NLM_F_CREATE
	hook := attr(unix.NFTA_CHAIN_HOOK|unix.NLA_F_NESTED,
		number(unix.NFTA_HOOK_HOOKNUM, unix.NF_INET_POST_ROUTING), number(unix.NFTA_HOOK_PRIORITY, 100))
	masq := attr(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, text(unix.NFTA_EXPR_NAME, "masq"))
	return join(
		message(unix.NFNL_MSG_BATCH_BEGIN, 0, family(0, unix.NFNL_SUBSYS_NFTABLES)),
		message(nft(unix.NFT_MSG_NEWTABLE), create, family(unix.NFPROTO_IPV4, 0), text(unix.NFTA_TABLE_NAME, table)),
		message(nft(unix.NFT_MSG_NEWCHAIN), create, family(unix.NFPROTO_IPV4, 0), text(unix.NFTA_CHAIN_TABLE, table),
			text(unix.NFTA_CHAIN_NAME, "post"), hook, text(unix.NFTA_CHAIN_TYPE, "nat")),
		message(nft(unix.NFT_MSG_NEWRULE), create|unix.NLM_F_ACK, family(unix.NFPROTO_IPV4, 0), text(unix.NFTA_RULE_TABLE, table),
			text(unix.NFTA_RULE_CHAIN, "post"), attr(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, masq)),
		message(unix.NFNL_MSG_BATCH_END, 0, family(0, unix.NFNL_SUBSYS_NFTABLES)))
}

// dropsForwarded lists the chains of this network namespace that drop forwarded packets
// unless a rule accepts them. It only reads; where it may not, nothing is known.
func dropsForwarded() (chains []string) {
	dump := message(nft(unix.NFT_MSG_GETCHAIN), unix.NLM_F_DUMP, family(unix.NFPROTO_UNSPEC, 0))
	err := ask(unix.NETLINK_NETFILTER, dump, func(answer []byte) {
		if name := dropping(answer); name != "" {
			chains = append(chains, name)
		}
	})
	if err != nil {
		return nil
	}
	return chains
}

// dropping names the chain that an NFT_MSG_NEWCHAIN describes, if it drops forwarded packets.
func dropping(answer []byte) string {
	if len(answer) < 4 {
		return ""
	}
	chain := attrs(answer[4:])
	hook, policy := attrs(chain[unix.NFTA_CHAIN_HOOK])[unix.NFTA_HOOK_HOOKNUM], chain[unix.NFTA_CHAIN_POLICY]
	if len(hook) != 4 || network.Uint32(hook) != unix.NF_INET_FORWARD || len(policy) != 4 || network.Uint32(policy) != drop {
		return ""
	}
	name, routes := map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6"}[answer[0]]
	if !routes {
		return ""
	}
	return fmt.Sprintf("%s %s %s", name,
		unix.ByteSliceToString(chain[unix.NFTA_CHAIN_TABLE]), unix.ByteSliceToString(chain[unix.NFTA_CHAIN_NAME]))
}

// ask sends messages and reads answers until the acknowledgement, the end of a dump or an
// error. each, if given, gets the payload of every other answer.
func ask(protocol int, request []byte, each func(answer []byte)) error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	// An answer that never comes must not hold up the doctor.
	if err := unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return err
	}
	if err := unix.Sendto(s, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for buffer := make([]byte, 1<<16); ; {
		n, _, err := unix.Recvfrom(s, buffer, 0)
		if err != nil {
			return err
		}
		if done, err := answers(buffer[:n], each); done || err != nil {
			return err
		}
	}
}

// answers walks through the messages of one datagram; done means that no other follows.
func answers(b []byte, each func(answer []byte)) (done bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(native.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return true, unix.EBADMSG
		}
		payload := b[unix.NLMSG_HDRLEN:size]
		switch native.Uint16(b[4:]) {
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR: // with errno 0, an acknowledgement
			if len(payload) < 4 {
				return true, unix.EBADMSG
			}
			if errno := -int32(native.Uint32(payload)); errno != 0 {
				return true, unix.Errno(errno)
			}
			return true, nil
		default:
			if each != nil {
				each(payload)
			}
		}
		b = b[min(pad(size), len(b)):]
	}
	return false, nil
}

// message is one netlink message: struct nlmsghdr and its parts.
func message(kind, flags uint16, parts ...[]byte) []byte {
	body := join(parts...)
	b := native.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	b = native.AppendUint16(b, kind)
	b = native.AppendUint16(b, flags|unix.NLM_F_REQUEST)
	return append(append(b, make([]byte, 8)...), body...) // sequence and port: one question a socket
}

// family is struct nfgenmsg, the fixed part of every message to nf_tables.
func family(protocol byte, resource uint16) []byte {
	return network.AppendUint16([]byte{protocol, unix.NFNETLINK_V0}, resource)
}

func nft(kind uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | kind }

// attr is one attribute; those that it holds are its parts.
func attr(kind uint16, parts ...[]byte) []byte {
	value := join(parts...)
	b := native.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(value)))
	b = append(native.AppendUint16(b, kind), value...)
	return append(b, make([]byte, pad(len(b))-len(b))...)
}

func text(kind uint16, s string) []byte   { return attr(kind, append([]byte(s), 0)) }
func number(kind uint16, n uint32) []byte { return attr(kind, network.AppendUint32(nil, n)) }

// attrs takes apart what attr has put together.
func attrs(b []byte) map[uint16][]byte {
	found := map[uint16][]byte{}
	for len(b) >= unix.SizeofNlAttr {
		size := int(native.Uint16(b))
		if size < unix.SizeofNlAttr || size > len(b) {
			return found
		}
		found[native.Uint16(b[2:])&^unix.NLA_F_NESTED] = b[unix.SizeofNlAttr:size]
		b = b[min(pad(size), len(b)):]
	}
	return found
}

func pad(n int) int { return (n + 3) &^ 3 }

func join(parts ...[]byte) (all []byte) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}
