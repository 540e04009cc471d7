// Package nft composes the messages of nf_tables: tables, sets, chains, rules and elements as
// nft(8) sends them to the kernel, each with its text as nft would write it. Nothing is sent
// here; the kernel's answers are read. A rule is a program of expressions (Code), which load what
// is known of a packet into registers, compare it or look it up in a set, and reach a verdict; it
// is written in Go as Join(Meta(…), Lookup(…), Accept()). The messages are those of
// linux/netfilter/nf_tables.h: attributes as in netlink(7), numbers big-endian.
package nft

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Message is a message to the kernel without its header (struct nlmsghdr).
type Message struct {
	Name  string // of its type, such as NFT_MSG_NEWRULE
	Kind  uint16 // its type, for nlmsg_type
	Flags uint16 // for nlmsg_flags, besides NLM_F_REQUEST and NLM_F_ACK
	Data  []byte // struct nfgenmsg and attributes
	Text  string // what it changes, in the words of nft(8)
}

func message(kind uint16, name string, flags uint16, a attributes, text string) Message {
	data := append([]byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}, a...)
	return Message{name, unix.NFNL_SUBSYS_NFTABLES<<8 | kind, flags, data, text}
}

// Transaction makes messages one change: the kernel makes all of them, or none.
func Transaction(messages ...Message) []Message {
	data := []byte{0, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES}
	const text = "res_id=NFNL_SUBSYS_NFTABLES"
	list := []Message{{"NFNL_MSG_BATCH_BEGIN", unix.NFNL_MSG_BATCH_BEGIN, 0, data, text}}
	list = append(list, messages...)
	return append(list, Message{"NFNL_MSG_BATCH_END", unix.NFNL_MSG_BATCH_END, 0, data, text})
}

// Unless makes a Transaction that the kernel refuses, with ERESTART, if anything has changed
// since a generation, in any table.
func Unless(generation uint32, transaction []Message) []Message {
	begin := &transaction[0]
	begin.Data = attributes(slices.Clone(begin.Data)).number(unix.NFNL_BATCH_GENID, generation)
	return transaction
}

// Generation asks for the number of the last change, which is unix.NFTA_GEN_ID of the answer.
func Generation() Message { return message(unix.NFT_MSG_GETGEN, "NFT_MSG_GETGEN", 0, nil, "") }

// Table is the name of a table of family inet, which is for IPv4 and IPv6.
type Table string

// tableUserdata is NFTA_TABLE_USERDATA, which x/sys/unix does not have.
const tableUserdata = 6

// Create makes the table, if it is not there yet, with a comment.
func (t Table) Create(comment string) Message {
	a := t.name().bytes(tableUserdata, userdata(comment))
	return message(unix.NFT_MSG_NEWTABLE, "NFT_MSG_NEWTABLE", unix.NLM_F_CREATE, a,
		fmt.Sprintf("table inet %s { comment %q; }", t, comment))
}

// Delete removes the table and all that is in it.
func (t Table) Delete() Message {
	return message(unix.NFT_MSG_DELTABLE, "NFT_MSG_DELTABLE", 0, t.name(), "table inet "+string(t))
}

// Flush removes the rules of all its chains.
func (t Table) Flush() Message {
	a := attributes{}.text(unix.NFTA_RULE_TABLE, string(t))
	return message(unix.NFT_MSG_DELRULE, "NFT_MSG_DELRULE", 0, a, "flush table inet "+string(t))
}

// Get asks for the table. Where there is none the answer is ENOENT.
func (t Table) Get() Message {
	return message(unix.NFT_MSG_GETTABLE, "NFT_MSG_GETTABLE", 0, t.name(), "")
}

func (t Table) name() attributes { return attributes{}.text(unix.NFTA_TABLE_NAME, string(t)) }

// Chain is a chain. One without a type has no hook: it is jumped to from others.
type Chain struct {
	Name     string
	Type     string // filter, nat or empty
	Hook     uint32 // where packets enter it, such as unix.NF_INET_FORWARD
	Priority int32  // chains of one hook are entered in this order
}

// hookNames are nft's names of the hooks of family inet, by their numbers.
var hookNames = [...]string{"prerouting", "input", "forward", "output", "postrouting"}

// AddChain adds a chain, if it is not there yet.
func (t Table) AddChain(c Chain) Message {
	a := attributes{}.text(unix.NFTA_CHAIN_TABLE, string(t)).text(unix.NFTA_CHAIN_NAME, c.Name)
	text := "chain " + c.Name
	if c.Type != "" {
		hook := attributes{}.number(unix.NFTA_HOOK_HOOKNUM, c.Hook).
			number(unix.NFTA_HOOK_PRIORITY, uint32(c.Priority))
		a = a.nest(unix.NFTA_CHAIN_HOOK, hook).text(unix.NFTA_CHAIN_TYPE, c.Type)
		text += fmt.Sprintf(" { type %s hook %s priority %d; }", c.Type, hookNames[c.Hook], c.Priority)
	}
	return message(unix.NFT_MSG_NEWCHAIN, "NFT_MSG_NEWCHAIN", unix.NLM_F_CREATE, a, text)
}

// Chains asks for the chains of all tables and families, with NLM_F_DUMP.
func Chains() Message {
	m := message(unix.NFT_MSG_GETCHAIN, "NFT_MSG_GETCHAIN", 0, nil, "")
	m.Data[0] = unix.NFPROTO_UNSPEC
	return m
}

// Rules asks for the rules of all chains of the table, with NLM_F_DUMP.
func (t Table) Rules() Message {
	a := attributes{}.text(unix.NFTA_RULE_TABLE, string(t))
	return message(unix.NFT_MSG_GETRULE, "NFT_MSG_GETRULE", 0, a, "")
}

// AddRule adds a rule to the end of a chain. The text is for the reader: the kernel takes the
// code.
func (t Table) AddRule(chain, text string, code Code) Message {
	a := attributes{}.text(unix.NFTA_RULE_TABLE, string(t)).text(unix.NFTA_RULE_CHAIN, chain).
		nest(unix.NFTA_RULE_EXPRESSIONS, attributes(code))
	return message(unix.NFT_MSG_NEWRULE, "NFT_MSG_NEWRULE", unix.NLM_F_CREATE|unix.NLM_F_APPEND, a,
		chain+" "+text)
}

// Type is nft's number of a type of data, in a set.
type Type uint32

// Types of data.
const (
	IPv4          Type = 7
	IPv6          Type = 8
	Protocol      Type = 12 // TCP or UDP, one byte
	Port          Type = 13
	InterfaceName Type = 41
)

// size is in bytes, filled up to four as in a joined key.
func (t Type) size() uint32 {
	switch t {
	case IPv6, InterfaceName:
		return 16
	}
	return 4
}

// joined is the number of several types as one, with six bits for each, and their size.
func joined(types []Type) (number, size uint32) {
	for _, t := range types {
		number, size = number<<6|uint32(t), size+t.size()
	}
	return number, size
}

// Set is a set or, where Data is given, a map. A key or its data may be joined of several types:
// see Concat.
type Set struct {
	Name      string
	Key, Data []Type
	Interval  bool // it holds ranges of keys
}

// AddSet adds a set, if it is not there yet. The id is a number for it within the transaction.
func (t Table) AddSet(id uint32, s Set) Message {
	word, flags := "set ", uint32(0)
	if s.Interval {
		flags |= unix.NFT_SET_INTERVAL
	}
	if s.Data != nil {
		word, flags = "map ", flags|unix.NFT_SET_MAP
	}
	number, size := joined(s.Key)
	a := attributes{}.text(unix.NFTA_SET_TABLE, string(t)).text(unix.NFTA_SET_NAME, s.Name).
		number(unix.NFTA_SET_FLAGS, flags).number(unix.NFTA_SET_KEY_TYPE, number).
		number(unix.NFTA_SET_KEY_LEN, size).number(unix.NFTA_SET_ID, id)
	if s.Data != nil {
		number, size = joined(s.Data)
		a = a.number(unix.NFTA_SET_DATA_TYPE, number).number(unix.NFTA_SET_DATA_LEN, size)
	}
	a = a.bytes(unix.NFTA_SET_USERDATA, byteOrders(s))
	return message(unix.NFT_MSG_NEWSET, "NFT_MSG_NEWSET", unix.NLM_F_CREATE, a, word+s.Name)
}

// byteOrders is what nft notes beside a set, to list it: the order of the bytes of its keys and
// of its data, 1 for the machine's own and 2 for big-endian. A name is read as a number of the
// machine's own order; without the note it is shown as an empty one. Each is a type, a length and
// the value (enum nftnl_udata_set_types of libnftnl).
func byteOrders(s Set) (userdata []byte) {
	for kind, types := range [][]Type{s.Key, s.Data} {
		if len(types) == 0 {
			continue
		}
		order := uint32(2)
		if len(types) == 1 && types[0] == InterfaceName {
			order = 1
		}
		userdata = append(userdata, byte(kind), 4)
		userdata = binary.NativeEndian.AppendUint32(userdata, order)
	}
	return userdata
}
