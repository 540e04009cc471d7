// nf_tables (nft(8)) decides which packets pass between containers, host and world. The rules
// are in one table of our own, beside those of other programs. Chains and rules are the same
// whatever runs: sets and maps hold what differs, so the hundredth container costs no more than
// the first. Each rule is here twice, as nft writes it and as the expressions that the kernel
// takes: they load registers, compare them, and reach a verdict. The package nft turns them
// into messages.

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/forwarding"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/nft"
	"stagebox/stage08-network/rtnl"
	"stagebox/stage08-network/ruleset"
)

// natTable is our table, of family inet: IPv4 and IPv6 in one.
const natTable nft.Table = "stagebox"

var natSets = []nft.Set{
	// Our bridges; each paired with itself; those without a way out; the subnets of the others.
	{Name: "bridges", Key: []nft.Type{nft.InterfaceName}},
	{Name: "within", Key: []nft.Type{nft.InterfaceName, nft.InterfaceName}},
	{Name: "internal", Key: []nft.Type{nft.InterfaceName}},
	{Name: "nets4", Key: []nft.Type{nft.IPv4}, Interval: true},
	{Name: "nets6", Key: []nft.Type{nft.IPv6}, Interval: true},

	// Ports that are published on every address, and on one, and their targets.
	{Name: "any4", Key: []nft.Type{nft.Protocol, nft.Port}, Data: []nft.Type{nft.IPv4, nft.Port}},
	{Name: "any6", Key: []nft.Type{nft.Protocol, nft.Port}, Data: []nft.Type{nft.IPv6, nft.Port}},
	{Name: "on4", Key: []nft.Type{nft.IPv4, nft.Protocol, nft.Port},
		Data: []nft.Type{nft.IPv4, nft.Port}},
	{Name: "on6", Key: []nft.Type{nft.IPv6, nft.Protocol, nft.Port},
		Data: []nft.Type{nft.IPv6, nft.Port}},
}

// natChains are entered at the hooks of netfilter; a packet passes those of all tables, and
// each may drop it. A chain without a type is a part of others.
var natChains = []nft.Chain{
	// Before the kernel looks for the connection that a packet belongs to, at -200.
	{Name: "guard", Type: "filter", Hook: unix.NF_INET_PRE_ROUTING, Priority: -300},

	{Name: "publish"},
	{Name: "arriving", Type: "nat", Hook: unix.NF_INET_PRE_ROUTING, Priority: -100},
	{Name: "local", Type: "nat", Hook: unix.NF_INET_LOCAL_OUT, Priority: -100},
	{Name: "leaving", Type: "nat", Hook: unix.NF_INET_POST_ROUTING, Priority: 100},
	{Name: "forward", Type: "filter", Hook: unix.NF_INET_FORWARD, Priority: 0},
}

// natRules returns the rules of all chains.
func natRules() []ruleset.Rule {
	return slices.Concat(publishRules(), leavingRules(), forwardRules())
}

// publishRules lead packets for published ports to containers, and keep containers off the host's
// loopback, which route_localnet opens to them.
func publishRules() []ruleset.Rule {
	toLoopback := nft.Join(isIPv4(), nft.Network(daddr4, 1, 1), nft.Equal(127))
	loopback6 := netip.IPv6Loopback().AsSlice()
	notToLoopback := nft.Join(isIPv6(), nft.Network(daddr6, 16, 1), nft.NotEqual(loopback6...))

	on4 := nft.Join(nft.Network(daddr4, 4, 1), loadPort(9, 10)) // address, protocol and port
	on6 := nft.Join(nft.Network(daddr6, 16, 1), loadPort(2, 13))
	anywhere := nft.Join(nft.ToHost(), loadPort(1, 9)) // protocol and port
	return []ruleset.Rule{
		{"guard", "iifname @bridges ip daddr 127.0.0.0/8 drop",
			nft.Join(from("bridges"), toLoopback, nft.Drop())},

		{"publish", "dnat ip to ip daddr . meta l4proto . th dport map @on4",
			nft.Join(isIPv4(), on4, nft.DNAT("on4", unix.NFPROTO_IPV4))},
		{"publish", "dnat ip6 to ip6 daddr . meta l4proto . th dport map @on6",
			nft.Join(isIPv6(), on6, nft.DNAT("on6", unix.NFPROTO_IPV6))},
		{"publish", "meta nfproto ipv4 fib daddr type local" +
			" dnat ip to meta l4proto . th dport map @any4",
			nft.Join(isIPv4(), anywhere, nft.DNAT("any4", unix.NFPROTO_IPV4))},
		{"publish", "ip6 daddr != ::1 fib daddr type local" +
			" dnat ip6 to meta l4proto . th dport map @any6",
			nft.Join(notToLoopback, anywhere, nft.DNAT("any6", unix.NFPROTO_IPV6))},
		{"arriving", "jump publish", nft.Jump("publish")},
		{"local", "jump publish", nft.Jump("publish")},
	}
}

// Where an address begins in the IP header, RFC 791 and RFC 8200.
const (
	saddr4, daddr4 = 12, 16
	saddr6, daddr6 = 8, 24
)

// leavingRules give packets the host's address where an answer would not find its way otherwise.
func leavingRules() []ruleset.Rule {
	from4 := nft.Join(isIPv4(), nft.Network(saddr4, 4, 1), nft.In("nets4"))
	from6 := nft.Join(isIPv6(), nft.Network(saddr6, 16, 1), nft.In("nets6"))
	fromLoopback := nft.Join(isIPv4(), nft.Network(saddr4, 1, 1), nft.Equal(127))
	toOthers := nft.Join(nft.Meta(unix.NFT_META_OIFNAME, 1), nft.NotIn("bridges"))
	return []ruleset.Rule{
		{"leaving", "ip saddr @nets4 oifname != @bridges masquerade",
			nft.Join(from4, toOthers, nft.Masquerade())},
		{"leaving", "ip6 saddr @nets6 oifname != @bridges masquerade",
			nft.Join(from6, toOthers, nft.Masquerade())},
		{"leaving", "ip saddr @nets4 ct status dnat masquerade",
			nft.Join(from4, redirected(), nft.Masquerade())},
		{"leaving", "ip6 saddr @nets6 ct status dnat masquerade",
			nft.Join(from6, redirected(), nft.Masquerade())},
		{"leaving", "ip saddr 127.0.0.0/8 oifname @bridges masquerade",
			nft.Join(fromLoopback, toBridges(), nft.Masquerade())},
	}
}

// forwardRules say what passes through the host.
func forwardRules() []ruleset.Rule {
	within := nft.Join(nft.Meta(unix.NFT_META_IIFNAME, 1), nft.Meta(unix.NFT_META_OIFNAME, 2),
		nft.In("within"))
	const established, related = 2, 4
	answer := nft.Conntrack(unix.NFT_CT_STATE, established|related)
	return []ruleset.Rule{
		{"forward", "iifname . oifname @within accept", nft.Join(within, nft.Accept())},
		{"forward", "ct state established,related accept", nft.Join(answer, nft.Accept())},
		{"forward", "iifname @internal drop", nft.Join(from("internal"), nft.Drop())},
		{"forward", "oifname @bridges ct status dnat accept",
			nft.Join(toBridges(), redirected(), nft.Accept())},
		{"forward", "oifname @bridges drop", nft.Join(toBridges(), nft.Drop())},
	}
}

// The parts that several rules have.

func isIPv4() nft.Code {
	return nft.Join(nft.Meta(unix.NFT_META_NFPROTO, 1), nft.Equal(unix.NFPROTO_IPV4))
}

func isIPv6() nft.Code {
	return nft.Join(nft.Meta(unix.NFT_META_NFPROTO, 1), nft.Equal(unix.NFPROTO_IPV6))
}

func from(set string) nft.Code { return nft.Join(nft.Meta(unix.NFT_META_IIFNAME, 1), nft.In(set)) }

func toBridges() nft.Code {
	return nft.Join(nft.Meta(unix.NFT_META_OIFNAME, 1), nft.In("bridges"))
}

func redirected() nft.Code {
	const dstNAT = 0x20 // IPS_DST_NAT
	return nft.Conntrack(unix.NFT_CT_STATUS, dstNAT)
}

// loadPort loads the protocol and the destination port of a packet: two parts of a joined key,
// each in the register after that of the part before.
func loadPort(protocol, port uint32) nft.Code {
	return nft.Join(nft.Meta(unix.NFT_META_L4PROTO, protocol), nft.Transport(2, 2, port))
}

// nat is the table as it is to be. The package ruleset makes it, and makes it again when something
// is missing.
var nat = ruleset.Ruleset{
	Table: natTable, Sets: natSets, Chains: natChains, Rules: natRules,
	Comment: "made by box, version ", Version: 2, Ask: askNat, Unless: sendNatUnless,
}

// transaction puts changes into one datagram: the kernel makes all of them, or none.
func transaction(changes []nft.Message) []nlMessage {
	return nlMessages(nft.Transaction(changes...))
}

func nlMessages(messages []nft.Message) (list []nlMessage) {
	for _, m := range messages {
		list = append(list, nlMessage{m.Name, m.Kind, m.Flags, nlBody{m.Data, []string{m.Text}}})
	}
	return list
}

func sendNat(changes ...nft.Message) error {
	return sendNetlink(unix.NETLINK_NETFILTER, transaction(changes)...)
}

// sendNatUnless makes changes unless there were others since a generation: that is ERESTART.
func sendNatUnless(generation uint32, changes ...nft.Message) error {
	return sendNetlink(unix.NETLINK_NETFILTER,
		nlMessages(nft.Unless(generation, nft.Transaction(changes...)))...)
}

func askNat(question nft.Message, flags uint16) (bodies [][]byte, err error) {
	found, err := askNetlink(unix.NETLINK_NETFILTER, question.Kind, flags, question.Data)
	for _, m := range found {
		bodies = append(bodies, m.Body)
	}
	return bodies, err
}

// elementsFor returns what the sets hold for a network.
func elementsFor(n *ipam.Network) []nft.Element {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, n.Bridge)
	bridge := func(set string) nft.Element {
		return nft.Element{Set: set, Key: name, Text: n.Bridge}
	}
	list := []nft.Element{bridge("bridges"),
		{Set: "within", Key: nft.Concat(name, name), Text: n.Bridge + " . " + n.Bridge}}
	if n.Internal {
		return append(list, bridge("internal"))
	}
	list = append(list, nft.Subnet("nets4", n.Subnet)...)
	if n.Subnet6.IsValid() {
		list = append(list, nft.Subnet("nets6", n.Subnet6)...)
	}
	return list
}

// published returns the elements of all published ports.
func published() ([]nft.Element, error) {
	return nat.In(func(s nft.Set) bool { return s.Data != nil })
}

// unpublish removes the published ports of dead containers.
func unpublish(dead []ipam.Lease) error {
	if len(dead) == 0 {
		return nil
	}
	list, err := published()
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(e nft.Element) bool {
		return !slices.ContainsFunc(dead, func(l ipam.Lease) bool { return l.ID == e.Comment })
	})
	if len(list) == 0 {
		return nil
	}
	err = sendNat(natTable.DeleteElements(list)...)
	return errors.Join(err, forgetFlows(list))
}

// blockingChains lists the chains of other programs that drop what is forwarded.
func blockingChains() (list []forwarding.Chain, err error) {
	found, err := askNat(nft.Chains(), unix.NLM_F_DUMP)
	if err != nil {
		return nil, fmt.Errorf("the list of chains: %w", err)
	}
	for _, body := range found {
		if c := forwarding.ReadChain(body); c.Blocks() && c.Table != string(natTable) {
			list = append(list, c)
		}
	}
	return list, nil
}

// learningLinks returns the names of links whose routes come from a router.
func learningLinks() (names []string, err error) {
	routes, err := hostRoutes()
	if err != nil {
		return nil, err
	}
	links, err := hostLinks()
	return rtnl.Learning(links, routes), err
}

// restoreSettings undoes what enableForwarding changed, unless another program relies on forwarding
// too, as its chains show.
func (dir networks) restoreSettings() error {
	relied := func() (bool, error) {
		others, err := blockingChains()
		return len(others) > 0, err
	}
	return forwarding.Restore(dir.File("settings"), relied, complain)
}
