// What may pass between containers, host and world is said by nf_tables (nft(8)), in one
// table of our own, which leaves those of others alone. Chains and rules are the same
// whatever runs: what differs is in sets and maps, so that the hundredth container costs
// what the first does. Each rule stands here twice, as nft writes it and as the expressions
// that the kernel takes: registers are loaded, compared, and a verdict is reached.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// natTable is the name of our table, of family inet: IPv4 and IPv6 in one.
const natTable = "stagebox"

// natSet is a set or, with data, a map. Types are nft's numbers of them, six bits each when
// several are joined; lengths are in bytes, each part filled up to four.
type natSet struct {
	name      string
	flags     uint32
	key, size uint32
	data, len uint32
}

const typeIPv4, typeIPv6, typeProto, typePort, typeName = 7, 8, 12, 13, 41

var natSets = []natSet{
	{name: "bridges", key: typeName, size: 16},                                           // all of ours
	{name: "within", key: typeName<<6 | typeName, size: 32},                              // from a bridge to itself
	{name: "internal", key: typeName, size: 16},                                          // those without a way out
	{name: "nets4", flags: unix.NFT_SET_INTERVAL, key: typeIPv4, size: 4},                // subnets with one
	{name: "nets6", flags: unix.NFT_SET_INTERVAL, key: typeIPv6, size: 16},               //
	{"any4", unix.NFT_SET_MAP, typeProto<<6 | typePort, 8, typeIPv4<<6 | typePort, 8},    // published on every address
	{"any6", unix.NFT_SET_MAP, typeProto<<6 | typePort, 8, typeIPv6<<6 | typePort, 20},   //
	{"on4", unix.NFT_SET_MAP, typeIPv4<<12 | typeProto<<6 | typePort, 12, 7<<6 | 13, 8},  // and on one
	{"on6", unix.NFT_SET_MAP, typeIPv6<<12 | typeProto<<6 | typePort, 24, 8<<6 | 13, 20}, //
}

// natChains hang at the hooks of netfilter; a packet passes those of all tables, and each
// may drop it. A chain without a type is a part of others.
var natChains = []struct {
	name, kind     string
	hook, priority int32
}{
	{"guard", "filter", unix.NF_INET_PRE_ROUTING, -300}, // before connections are known
	{"publish", "", 0, 0},
	{"arriving", "nat", unix.NF_INET_PRE_ROUTING, -100},
	{"local", "nat", unix.NF_INET_LOCAL_OUT, -100},
	{"leaving", "nat", unix.NF_INET_POST_ROUTING, 100},
	{"forward", "filter", unix.NF_INET_FORWARD, 0},
}

// natRule is a rule as nft writes it, and its expressions.
type natRule struct {
	chain, text string
	expressions []nlBody
}

func natRules() []natRule {
	v4, v6 := nftMeta(unix.NFT_META_NFPROTO, unix.NFPROTO_IPV4), nftMeta(unix.NFT_META_NFPROTO, unix.NFPROTO_IPV6)
	drop, accept := nftVerdict(0), nftVerdict(1)
	fromOurs := nftName(unix.NFT_META_IIFNAME, "bridges", false)
	toOurs, toOthers := nftName(unix.NFT_META_OIFNAME, "bridges", false), nftName(unix.NFT_META_OIFNAME, "bridges", true)
	from4 := rule(v4, load4(12), lookup("nets4"))
	from6 := rule(v6, load6(8), lookup("nets6"))
	dnat := nftConnection(unix.NFT_CT_STATUS, 0x20) // IPS_DST_NAT
	masquerade := []nlBody{nftExpr("masq", nlBody{})}
	toHost := []nlBody{nftExpr("fib", nlBody{}.be32(1, 1).be32(2, 3).be32(3, 2)), nftCmp(unix.NFT_CMP_EQ, native32(unix.RTN_LOCAL))}
	loaded4, loaded6 := rule(load4(16), loadPort(9)), rule(load6(24), loadPort(2))
	notLoopback := rule(load6(24), []nlBody{nftCmp(unix.NFT_CMP_NEQ, netip.IPv6Loopback().AsSlice())})
	return []natRule{
		{"guard", "iifname @bridges ip daddr 127.0.0.0/8 drop", rule(fromOurs, v4,
			[]nlBody{nftPayload(unix.NFT_PAYLOAD_NETWORK_HEADER, 16, 1, 1), nftCmp(unix.NFT_CMP_EQ, []byte{127})}, drop)},
		{"publish", "dnat ip to ip daddr . meta l4proto . th dport map @on4", rule(v4, loaded4, nftDNAT("on4", unix.NFPROTO_IPV4))},
		{"publish", "dnat ip6 to ip6 daddr . meta l4proto . th dport map @on6", rule(v6, loaded6, nftDNAT("on6", unix.NFPROTO_IPV6))},
		{"publish", "meta nfproto ipv4 fib daddr type local dnat ip to meta l4proto . th dport map @any4",
			rule(v4, toHost, loadPort(1), nftDNAT("any4", unix.NFPROTO_IPV4))},
		{"publish", "ip6 daddr != ::1 fib daddr type local dnat ip6 to meta l4proto . th dport map @any6",
			rule(v6, notLoopback, toHost, loadPort(1), nftDNAT("any6", unix.NFPROTO_IPV6))},
		{"arriving", "jump publish", nftJump("publish")},
		{"local", "jump publish", nftJump("publish")},
		{"leaving", "ip saddr @nets4 oifname != @bridges masquerade", rule(from4, toOthers, masquerade)},
		{"leaving", "ip6 saddr @nets6 oifname != @bridges masquerade", rule(from6, toOthers, masquerade)},
		{"leaving", "ip saddr @nets4 ct status dnat masquerade", rule(from4, dnat, masquerade)},
		{"leaving", "ip6 saddr @nets6 ct status dnat masquerade", rule(from6, dnat, masquerade)},
		{"leaving", "ip saddr 127.0.0.0/8 oifname @bridges masquerade", rule(v4,
			[]nlBody{nftPayload(unix.NFT_PAYLOAD_NETWORK_HEADER, 12, 1, 1), nftCmp(unix.NFT_CMP_EQ, []byte{127})}, toOurs, masquerade)},
		{"forward", "iifname . oifname @within accept", rule([]nlBody{nftLoad(unix.NFT_META_IIFNAME, 1), nftLoad(unix.NFT_META_OIFNAME, 2)}, lookup("within"), accept)},
		{"forward", "ct state established,related accept", rule(nftConnection(unix.NFT_CT_STATE, 6), accept)},
		{"forward", "iifname @internal drop", rule(nftName(unix.NFT_META_IIFNAME, "internal", false), drop)},
		{"forward", "oifname @bridges ct status dnat accept", rule(toOurs, dnat, accept)},
		{"forward", "oifname @bridges drop", rule(toOurs, drop)},
	}
}

// rule joins the parts of a rule.
func rule(parts ...[]nlBody) []nlBody { return slices.Concat(parts...) }

func nftExpr(name string, data nlBody) nlBody {
	return nlBody{}.str(unix.NFTA_EXPR_NAME, "", name).nest(unix.NFTA_EXPR_DATA, "", data)
}

func nftValue(value []byte) nlBody { return nlBody{}.attr(unix.NFTA_DATA_VALUE, "", value, "") }

func nftLoad(key, register uint32) nlBody {
	return nftExpr("meta", nlBody{}.be32(unix.NFTA_META_DREG, register).be32(unix.NFTA_META_KEY, key))
}

func nftPayload(base, offset, size, register uint32) nlBody {
	return nftExpr("payload", nlBody{}.be32(unix.NFTA_PAYLOAD_DREG, register).be32(unix.NFTA_PAYLOAD_BASE, base).
		be32(unix.NFTA_PAYLOAD_OFFSET, offset).be32(unix.NFTA_PAYLOAD_LEN, size))
}

func nftCmp(op uint32, value []byte) nlBody {
	return nftExpr("cmp", nlBody{}.be32(unix.NFTA_CMP_SREG, 1).be32(unix.NFTA_CMP_OP, op).nest(unix.NFTA_CMP_DATA, "", nftValue(value)))
}

// nftMeta compares one byte of what is known about a packet.
func nftMeta(key uint32, value byte) []nlBody {
	return []nlBody{nftLoad(key, 1), nftCmp(unix.NFT_CMP_EQ, []byte{value})}
}

// load4 and load6 take an address of the IP header; loadPort the protocol, and the port that
// the packet goes to. Registers from 8 on have four bytes, and 1 is another name for 8 to 11.
func load4(offset uint32) []nlBody {
	return []nlBody{nftPayload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, 4, 1)}
}

func load6(offset uint32) []nlBody {
	return []nlBody{nftPayload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, 16, 1)}
}

func loadPort(register uint32) []nlBody {
	next := register + 1
	switch register {
	case 1:
		next = 9
	case 2:
		next = 13
	}
	return []nlBody{nftLoad(unix.NFT_META_L4PROTO, register), nftPayload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, next)}
}

func lookup(set string) []nlBody {
	return []nlBody{nftExpr("lookup", nlBody{}.str(unix.NFTA_LOOKUP_SET, "", set).be32(unix.NFTA_LOOKUP_SREG, 1))}
}

// nftName looks an interface's name up, or its absence.
func nftName(key uint32, set string, absent bool) []nlBody {
	body := nlBody{}.str(unix.NFTA_LOOKUP_SET, "", set).be32(unix.NFTA_LOOKUP_SREG, 1)
	if absent {
		body = body.be32(unix.NFTA_LOOKUP_FLAGS, unix.NFT_LOOKUP_F_INV)
	}
	return []nlBody{nftLoad(key, 1), nftExpr("lookup", body)}
}

// nftDNAT looks up where a packet shall go instead, and sends it there.
func nftDNAT(set string, family byte) []nlBody {
	port := uint32(9)
	if family == unix.NFPROTO_IPV6 {
		port = 12
	}
	return []nlBody{
		nftExpr("lookup", nlBody{}.str(unix.NFTA_LOOKUP_SET, "", set).be32(unix.NFTA_LOOKUP_SREG, 1).be32(unix.NFTA_LOOKUP_DREG, 1)),
		nftExpr("nat", nlBody{}.be32(unix.NFTA_NAT_TYPE, unix.NFT_NAT_DNAT).be32(unix.NFTA_NAT_FAMILY, uint32(family)).
			be32(unix.NFTA_NAT_REG_ADDR_MIN, 1).be32(unix.NFTA_NAT_REG_PROTO_MIN, port)),
	}
}

// nftConnection asks whether any of these bits is set in what is known about a connection.
func nftConnection(key, mask uint32) []nlBody {
	return []nlBody{
		nftExpr("ct", nlBody{}.be32(unix.NFTA_CT_DREG, 1).be32(unix.NFTA_CT_KEY, key)),
		nftExpr("bitwise", nlBody{}.be32(unix.NFTA_BITWISE_SREG, 1).be32(unix.NFTA_BITWISE_DREG, 1).be32(unix.NFTA_BITWISE_LEN, 4).
			nest(unix.NFTA_BITWISE_MASK, "", nftValue(native32(mask))).nest(unix.NFTA_BITWISE_XOR, "", nftValue(native32(0)))),
		nftCmp(unix.NFT_CMP_NEQ, native32(0)),
	}
}

func nftVerdict(code uint32) []nlBody { return verdict(nlBody{}.be32(unix.NFTA_VERDICT_CODE, code)) }

func nftJump(chain string) []nlBody {
	return verdict(nlBody{}.be32(unix.NFTA_VERDICT_CODE, 1<<32+unix.NFT_JUMP).str(unix.NFTA_VERDICT_CHAIN, "", chain))
}

func verdict(v nlBody) []nlBody {
	return []nlBody{nftExpr("immediate", nlBody{}.be32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT).
		nest(unix.NFTA_IMMEDIATE_DATA, "", nlBody{}.nest(unix.NFTA_DATA_VERDICT, "", v)))}
}

func native32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// nftMessage is struct nfgenmsg and attributes.
func nftMessage(kind uint16, name string, flags uint16, attrs nlBody, text string) nlMessage {
	attrs.data = append([]byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}, attrs.data...)
	attrs.texts = []string{text}
	return nlMessage{name, unix.NFNL_SUBSYS_NFTABLES<<8 | kind, flags, attrs}
}

// transaction makes messages one change: all of them, or none.
func transaction(messages []nlMessage) []nlMessage {
	body := nlBody{data: []byte{0, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES}, texts: []string{"res_id=NFNL_SUBSYS_NFTABLES"}}
	list := []nlMessage{{"NFNL_MSG_BATCH_BEGIN", unix.NFNL_MSG_BATCH_BEGIN, 0, body}}
	return append(append(list, messages...), nlMessage{"NFNL_MSG_BATCH_END", unix.NFNL_MSG_BATCH_END, 0, body})
}

func sendNat(messages ...nlMessage) error {
	return sendNetlink(unix.NETLINK_NETFILTER, transaction(messages)...)
}

// newTable makes the table, whole. Where it is there already nothing changes: rules are
// taken away before they are put in anew.
func newTable() []nlMessage {
	list := []nlMessage{nftMessage(unix.NFT_MSG_NEWTABLE, "NFT_MSG_NEWTABLE", unix.NLM_F_CREATE,
		nlBody{}.str(unix.NFTA_TABLE_NAME, "", natTable), "table inet "+natTable)}
	for i, s := range natSets {
		attrs := nlBody{}.str(unix.NFTA_SET_TABLE, "", natTable).str(unix.NFTA_SET_NAME, "", s.name).be32(unix.NFTA_SET_FLAGS, s.flags).
			be32(unix.NFTA_SET_KEY_TYPE, s.key).be32(unix.NFTA_SET_KEY_LEN, s.size).be32(unix.NFTA_SET_ID, uint32(i+1))
		word := "set "
		if s.len > 0 {
			attrs, word = attrs.be32(unix.NFTA_SET_DATA_TYPE, s.data).be32(unix.NFTA_SET_DATA_LEN, s.len), "map "
		}
		list = append(list, nftMessage(unix.NFT_MSG_NEWSET, "NFT_MSG_NEWSET", unix.NLM_F_CREATE, attrs, word+s.name))
	}
	for _, c := range natChains {
		attrs := nlBody{}.str(unix.NFTA_CHAIN_TABLE, "", natTable).str(unix.NFTA_CHAIN_NAME, "", c.name)
		text := "chain " + c.name
		if c.kind != "" {
			attrs = attrs.nest(unix.NFTA_CHAIN_HOOK, "", nlBody{}.be32(unix.NFTA_HOOK_HOOKNUM, uint32(c.hook)).be32(unix.NFTA_HOOK_PRIORITY, uint32(c.priority))).
				str(unix.NFTA_CHAIN_TYPE, "", c.kind)
			text += fmt.Sprintf(" { type %s hook %s priority %d; }", c.kind, hookNames[c.hook], c.priority)
		}
		list = append(list, nftMessage(unix.NFT_MSG_NEWCHAIN, "NFT_MSG_NEWCHAIN", unix.NLM_F_CREATE, attrs, text))
	}
	list = append(list, nftMessage(unix.NFT_MSG_DELRULE, "NFT_MSG_DELRULE", 0, nlBody{}.str(unix.NFTA_RULE_TABLE, "", natTable), "flush table inet "+natTable))
	for _, r := range natRules() {
		var expressions nlBody
		for _, e := range r.expressions {
			expressions = expressions.nest(unix.NFTA_LIST_ELEM, "", e)
		}
		list = append(list, nftMessage(unix.NFT_MSG_NEWRULE, "NFT_MSG_NEWRULE", unix.NLM_F_CREATE|unix.NLM_F_APPEND,
			nlBody{}.str(unix.NFTA_RULE_TABLE, "", natTable).str(unix.NFTA_RULE_CHAIN, "", r.chain).
				nest(unix.NFTA_RULE_EXPRESSIONS, "", expressions), r.chain+" "+r.text))
	}
	return list
}

var hookNames = []string{"prerouting", "input", "forward", "output", "postrouting"}

func delTable() nlMessage {
	return nftMessage(unix.NFT_MSG_DELTABLE, "NFT_MSG_DELTABLE", 0, nlBody{}.str(unix.NFTA_TABLE_NAME, "", natTable), "table inet "+natTable)
}

// hasTable tells whether the table is there, and so all of it.
func hasTable() (bool, error) {
	body := nftMessage(0, "", 0, nlBody{}.str(unix.NFTA_TABLE_NAME, "", natTable), "").body
	_, err := askNetlink(unix.NETLINK_NETFILTER, unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETTABLE, 0, body.data)
	switch {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return false, fmt.Errorf("the kernel has no nf_tables, without which there is no way out and no published port: modprobe nf_tables (%w)", err)
	case errors.Is(err, unix.EPERM):
		return false, fmt.Errorf("only root may change the host's network: --network none does without (%w)", err)
	}
	return err == nil, err
}

// natElement is what a set or a map shall hold. Its comment says whose it is.
type natElement struct {
	set       string
	key, data []byte
	end       bool // where an interval ends: the first that is not in it
	text      string
	comment   string
}

// elementChange adds elements to their sets, or takes them out.
func elementChange(kind uint16, name string, elements []natElement) []nlMessage {
	var list []nlMessage
	for _, e := range elements {
		attrs := nlBody{}.nest(unix.NFTA_SET_ELEM_KEY, "", nftValue(e.key))
		if e.data != nil && kind == unix.NFT_MSG_NEWSETELEM {
			attrs = attrs.nest(unix.NFTA_SET_ELEM_DATA, "", nftValue(e.data))
		}
		if e.end {
			attrs = attrs.be32(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
		}
		if e.comment != "" { // as nft stores one: type 0, length, text
			attrs = attrs.attr(unix.NFTA_SET_ELEM_USERDATA, "", append([]byte{0, byte(len(e.comment) + 1)}, e.comment+"\x00"...), "")
		}
		list = append(list, nftMessage(kind, name, unix.NLM_F_CREATE, nlBody{}.str(unix.NFTA_SET_ELEM_LIST_TABLE, "", natTable).
			str(unix.NFTA_SET_ELEM_LIST_SET, "", e.set).
			nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, "", nlBody{}.nest(unix.NFTA_LIST_ELEM, "", attrs)), e.set+" { "+e.text+" }"))
	}
	return list
}

// elements are what the sets hold for a network.
func (n *network) elements(kind uint16, name string) []nlMessage {
	bridge := make([]byte, unix.IFNAMSIZ)
	copy(bridge, n.Bridge)
	list := []natElement{{set: "bridges", key: bridge, text: n.Bridge}, {set: "within", key: append(bridge[:16:16], bridge...), text: n.Bridge + " . " + n.Bridge}}
	if n.Internal {
		return elementChange(kind, name, append(list, natElement{set: "internal", key: bridge, text: n.Bridge}))
	}
	list = append(list, interval("nets4", n.Subnet, nth(n.Subnet, last(n.Subnet)).Next())...)
	if n.Subnet6.IsValid() {
		after := n.Subnet6.Masked().Addr().As16()
		binary.BigEndian.PutUint64(after[:8], binary.BigEndian.Uint64(after[:8])+1)
		list = append(list, interval("nets6", n.Subnet6, netip.AddrFrom16(after))...)
	}
	return elementChange(kind, name, list)
}

func interval(set string, subnet netip.Prefix, after netip.Addr) []natElement {
	return []natElement{{set: set, key: subnet.Masked().Addr().AsSlice(), text: subnet.String()}, {set: set, key: after.AsSlice(), end: true, text: "… " + after.String()}}
}

// element is what publishes a port: from an address, or any, to a container's. The second
// result is false where host or container do not have the family.
func (m portMap) element(l lease, v6 bool) (natElement, bool) {
	to, set, proto := l.addr, "4", byte(unix.IPPROTO_TCP)
	if m.proto == "udp" {
		proto = unix.IPPROTO_UDP
	}
	if v6 {
		to, set = l.addr6, "6"
	}
	e := natElement{comment: l.id, key: pad(nil, proto), text: fmt.Sprintf("%s . %d : %s . %d", m.proto, m.host, to, m.box)}
	e.key = pad(e.key, byte(m.host>>8), byte(m.host))
	if e.set = "any" + set; m.ip.IsValid() {
		e.set, e.key, e.text = "on"+set, append(m.ip.AsSlice(), e.key...), m.ip.String()+" . "+e.text
	}
	e.data = pad(to.AsSlice(), byte(m.box>>8), byte(m.box))
	return e, to.IsValid() && (!m.ip.IsValid() || m.ip.Is6() == v6 && m.ip != netip.IPv6Loopback())
}

// pad appends a part of a joined key, filled up to four bytes.
func pad(b []byte, part ...byte) []byte {
	b = append(b, part...)
	return append(b, make([]byte, -len(b)&3)...)
}

// published are the elements of all ports, from the kernel.
func published() ([]natElement, error) {
	var list []natElement
	for _, s := range natSets {
		if s.len == 0 {
			continue
		}
		elements, err := elementsOf(s.name)
		if err != nil {
			return nil, err
		}
		list = append(list, elements...)
	}
	return list, nil
}

// elementsOf are the elements of a set or map; without the table there are none.
func elementsOf(set string) (list []natElement, err error) {
	body := nftMessage(0, "", 0, nlBody{}.str(unix.NFTA_SET_ELEM_LIST_TABLE, "", natTable).str(unix.NFTA_SET_ELEM_LIST_SET, "", set), "").body
	found, err := askNetlink(unix.NETLINK_NETFILTER, unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, body.data)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("the elements of %s: %w", set, err)
	}
	for _, m := range found {
		for _, e := range nlList(nlAttrs(m.body, 4)[unix.NFTA_SET_ELEM_LIST_ELEMENTS], 0) {
			attrs := nlAttrs(e, 0)
			list = append(list, natElement{set: set, key: nlAttrs(attrs[unix.NFTA_SET_ELEM_KEY], 0)[unix.NFTA_DATA_VALUE],
				data: nlAttrs(attrs[unix.NFTA_SET_ELEM_DATA], 0)[unix.NFTA_DATA_VALUE], comment: nftComment(attrs[unix.NFTA_SET_ELEM_USERDATA])})
		}
	}
	return list, nil
}

func nftComment(userdata []byte) string {
	if len(userdata) < 2 || userdata[0] != 0 {
		return ""
	}
	return nlString(userdata[2:])
}

// unpublish takes back what dead containers have published.
func unpublish(dead []lease) error {
	if len(dead) == 0 {
		return nil
	}
	list, err := published()
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(e natElement) bool {
		return !slices.ContainsFunc(dead, func(l lease) bool { return l.id == e.comment })
	})
	if len(list) == 0 {
		return nil
	}
	err = sendNat(elementChange(unix.NFT_MSG_DELSETELEM, "NFT_MSG_DELSETELEM", list)...)
	return errors.Join(err, forgetFlows(list))
}

// droppers are chains of others that drop what is forwarded unless a rule accepts it.
// Docker, ufw and firewalld make such chains, and no rule of ours can overrule them.
func droppers() ([]string, error) {
	found, err := askNetlink(unix.NETLINK_NETFILTER, unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, make([]byte, 4))
	if err != nil {
		return nil, fmt.Errorf("the list of chains: %w", err)
	}
	var list []string
	for _, m := range found {
		attrs := nlAttrs(m.body, 4)
		hook := nlAttrs(attrs[unix.NFTA_CHAIN_HOOK], 0)
		table, name := nlString(attrs[unix.NFTA_CHAIN_TABLE]), nlString(attrs[unix.NFTA_CHAIN_NAME])
		family, known := map[byte]string{unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_INET: "inet"}[m.body[0]]
		if !known || hook == nil || table == natTable || nlNumber(binary.BigEndian, hook[unix.NFTA_HOOK_HOOKNUM]) != unix.NF_INET_FORWARD {
			continue
		}
		if policy := attrs[unix.NFTA_CHAIN_POLICY]; len(policy) == 4 && nlNumber(binary.BigEndian, policy) == 0 || table == "firewalld" {
			list = append(list, fmt.Sprintf("%s %s %s", family, table, name))
		}
	}
	return list, nil
}

// dropAdvice says what to do about such chains, or nothing.
func dropAdvice(bridge string, chains []string) string {
	if len(chains) == 0 {
		return ""
	}
	advice := fmt.Sprintf("nft insert rule %s iifname %s accept; nft insert rule %[1]s oifname %[2]s accept", chains[0], bridge)
	switch {
	case strings.Contains(chains[0], "firewalld"):
		advice = fmt.Sprintf("firewall-cmd --permanent --zone=trusted --add-interface=%s; firewall-cmd --reload", bridge) // what is not permanent ends with the next reload
	case strings.HasPrefix(chains[0], "ip"):
		advice = fmt.Sprintf("iptables -I FORWARD -i %s -j ACCEPT; iptables -I FORWARD -o %[1]s -j ACCEPT (with Docker in chain DOCKER-USER, and with IPv6 ip6tables alike)", bridge)
	}
	return fmt.Sprintf("the host drops what it forwards unless a rule says otherwise (chain %s), so containers will not reach the world, nor the world them; as root: %s",
		strings.Join(chains, ", "), advice)
}

// hostSetting is a file of /proc/sys and what it has to hold.
type hostSetting struct{ path, value, why string }

// settings are what forwarding needs and the host does not have yet. A host that learns its
// own routes from a router goes on doing so only if it is told to, once it is one itself.
func settings(v6 bool) (list []hostSetting, err error) {
	v4 := hostSetting{"/proc/sys/net/ipv4/ip_forward", "1", "the host passes packets on, as a router"}
	if !v4.holds() {
		list = append(list, v4)
	}
	all := hostSetting{"/proc/sys/net/ipv6/conf/all/forwarding", "1", "IPv6 packets too"}
	if !v6 || all.holds() {
		return list, nil
	}
	routes, err := hostRoutes()
	if err != nil {
		return nil, err
	}
	links, err := hostLinks()
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if slices.ContainsFunc(routes, func(r routeInfo) bool { return r.learned && r.link == l.Index }) {
			list = append(list, hostSetting{"/proc/sys/net/ipv6/conf/" + l.Name + "/accept_ra", "2", "and goes on learning its own routes"})
		}
	}
	return append(list, all), nil
}

func (s hostSetting) holds() bool {
	now, err := os.ReadFile(s.path)
	return err == nil && string(now) == s.value+"\n"
}

// noteSettings remembers what the settings were, for restoreSettings.
func (dir networks) noteSettings(list []hostSetting) error {
	return dir.locked(func() error {
		data, err := os.ReadFile(dir.file("settings"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, s := range list {
			old, err := os.ReadFile(s.path)
			if err != nil {
				return err
			}
			data = fmt.Appendf(data, "%s %s", s.path, old)
		}
		return dir.replace("settings", data)
	})
}

// restoreSettings undoes what was noted, the last first, unless somebody else relies on
// forwarding too: then it has chains there.
func (dir networks) restoreSettings() error {
	data, err := os.ReadFile(dir.file("settings"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	others, err := droppers()
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for _, line := range slices.Backward(lines) {
		path, value, _ := strings.Cut(line, " ")
		if len(others) > 0 || !strings.HasPrefix(path, "/proc/sys/net/") || strings.Contains(path, "..") {
			continue
		}
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Remove(dir.file("settings"))
}
