package nft

import (
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// Element is an element of a set or a map.
type Element struct {
	Set       string
	Key, Data []byte // Data is nil in a set
	End       bool   // where an interval ends: the first key that is not in it
	Text      string // as nft writes it
	Comment   string
}

// AddElements adds elements to their sets; one that is there already is not an error. It is a
// message for each.
func (t Table) AddElements(list []Element) (messages []Message) {
	for _, e := range list {
		a := e.attributes(true)
		messages = append(messages, t.change(unix.NFT_MSG_NEWSETELEM, "NFT_MSG_NEWSETELEM", e, a))
	}
	return messages
}

// DeleteElements takes elements out of their sets.
func (t Table) DeleteElements(list []Element) (messages []Message) {
	for _, e := range list {
		a := e.attributes(false)
		messages = append(messages, t.change(unix.NFT_MSG_DELSETELEM, "NFT_MSG_DELSETELEM", e, a))
	}
	return messages
}

func (t Table) change(kind uint16, name string, e Element, a attributes) Message {
	list := attributes{}.text(unix.NFTA_SET_ELEM_LIST_TABLE, string(t)).
		text(unix.NFTA_SET_ELEM_LIST_SET, e.Set).
		nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, attributes{}.nest(unix.NFTA_LIST_ELEM, a))
	return message(kind, name, unix.NLM_F_CREATE, list, e.Set+" { "+e.Text+" }")
}

func (e Element) attributes(withData bool) attributes {
	a := attributes{}.nest(unix.NFTA_SET_ELEM_KEY, value(e.Key))
	if e.Data != nil && withData {
		a = a.nest(unix.NFTA_SET_ELEM_DATA, value(e.Data))
	}
	if e.End {
		a = a.number(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
	}
	if e.Comment != "" {
		a = a.bytes(unix.NFTA_SET_ELEM_USERDATA, userdata(e.Comment))
	}
	return a
}

// userdata is a comment as nft stores one beside an element or a table: type 0, length, text.
func userdata(comment string) []byte {
	return append([]byte{0, byte(len(comment) + 1)}, comment+"\x00"...)
}

// Elements asks for the elements of a set, with NLM_F_DUMP.
func (t Table) Elements(set string) Message {
	a := attributes{}.text(unix.NFTA_SET_ELEM_LIST_TABLE, string(t)).
		text(unix.NFTA_SET_ELEM_LIST_SET, set)
	return message(unix.NFT_MSG_GETSETELEM, "NFT_MSG_GETSETELEM", 0, a, "")
}

// Comment reads a comment from NFTA_SET_ELEM_USERDATA, or from a table's NFTA_TABLE_USERDATA.
func Comment(userdata []byte) string {
	if len(userdata) < 2 || userdata[0] != 0 {
		return ""
	}
	text, _, _ := strings.Cut(string(userdata[2:]), "\x00")
	return text
}

// Concat joins the parts of a key, or of its data: each is filled up to four bytes.
func Concat(parts ...[]byte) (key []byte) {
	for _, part := range parts {
		key = append(key, part...)
		key = append(key, make([]byte, -len(key)&3)...)
	}
	return key
}

// Subnet is a range of addresses in a set that holds intervals.
func Subnet(set string, subnet netip.Prefix) []Element {
	after := subnet.Masked().Addr().AsSlice()
	for i, add := (subnet.Bits()-1)/8, byte(1)<<(7-(subnet.Bits()-1)%8); i >= 0; i, add = i-1, 1 {
		if after[i] += add; after[i] >= add {
			break
		}
	}
	end, _ := netip.AddrFromSlice(after)
	return []Element{
		{Set: set, Key: subnet.Masked().Addr().AsSlice(), Text: subnet.String()},
		{Set: set, Key: after, End: true, Text: "… " + end.String()},
	}
}
