package forwarding

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/attr"
)

// Chain is a chain of nf_tables at a hook, as the kernel lists it.
type Chain struct {
	Family      byte // NFPROTO_…
	Table, Name string
	Hook        int  // NF_INET_…
	Drops       bool // the policy is to drop
}

// ReadChain reads a chain from the kernel's answer: struct nfgenmsg and attributes.
func ReadChain(body []byte) Chain {
	attrs := attr.Map(body, 4)
	policy := attrs[unix.NFTA_CHAIN_POLICY]
	hook := attr.Map(attrs[unix.NFTA_CHAIN_HOOK], 0)[unix.NFTA_HOOK_HOOKNUM]
	return Chain{
		Family: body[0],
		Table:  attr.Text(attrs[unix.NFTA_CHAIN_TABLE]),
		Name:   attr.Text(attrs[unix.NFTA_CHAIN_NAME]),
		Hook:   attr.Number(binary.BigEndian, hook),
		Drops:  len(policy) == 4 && attr.Number(binary.BigEndian, policy) == 0, // NF_DROP
	}
}

// Blocks reports whether a chain drops IP packets that are forwarded unless a rule accepts them.
// Docker, ufw and firewalld make such chains, and no rule in another table can overrule them.
// Firewalld's accept by policy and end with a rule that drops.
func (c Chain) Blocks() bool {
	return c.family() != "" && c.Hook == unix.NF_INET_FORWARD && (c.Drops || c.Table == "firewalld")
}

// String names a chain as nft(8) does: family, table, chain.
func (c Chain) String() string { return fmt.Sprintf("%s %s %s", c.family(), c.Table, c.Name) }

// family is nft's name of the family, if it sees IP packets that are forwarded.
func (c Chain) family() string {
	switch c.Family {
	case unix.NFPROTO_IPV4:
		return "ip"
	case unix.NFPROTO_IPV6:
		return "ip6"
	case unix.NFPROTO_INET:
		return "inet"
	}
	return ""
}

// Advice returns a sentence with the commands that let a bridge's packets through the chains
// that block them, or nothing if there are none.
func Advice(bridge string, blocking []Chain) string {
	if len(blocking) == 0 {
		return ""
	}
	names := make([]string, len(blocking))
	for i, c := range blocking {
		names[i] = c.String()
	}
	return fmt.Sprintf("the host drops what it forwards unless a rule says otherwise (chain %s),"+
		" so containers will not reach the world, nor the world them; as root: %s",
		strings.Join(names, ", "), commands(bridge, names[0]))
}

// commands are for the tool that made a chain, as far as its name shows that.
func commands(bridge, chain string) string {
	switch {
	case strings.Contains(chain, "firewalld"):
		// What is not permanent ends with the next reload.
		return fmt.Sprintf("firewall-cmd --permanent --zone=trusted --add-interface=%s;"+
			" firewall-cmd --reload", bridge)
	case strings.HasPrefix(chain, "ip"):
		return fmt.Sprintf("iptables -I FORWARD -i %s -j ACCEPT;"+
			" iptables -I FORWARD -o %[1]s -j ACCEPT"+
			" (with Docker in chain DOCKER-USER, and with IPv6 ip6tables alike)", bridge)
	}
	return fmt.Sprintf("nft insert rule %s iifname %s accept;"+
		" nft insert rule %[1]s oifname %[2]s accept", chain, bridge)
}
