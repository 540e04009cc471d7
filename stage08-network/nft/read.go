package nft

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/attr"
)

// The kernel's answers: struct nfgenmsg, whose size this is, and attributes.
const answer = 4

// ReadTable reads the answer to Get: the table's comment, and whether it is switched off.
func ReadTable(body []byte) (comment string, dormant bool) {
	attrs := attr.Map(body, answer)
	flags := attr.Number(binary.BigEndian, attrs[unix.NFTA_TABLE_FLAGS])
	return Comment(attrs[tableUserdata]), flags&unix.NFT_TABLE_F_DORMANT != 0
}

// ReadGeneration reads the answer to Generation.
func ReadGeneration(body []byte) uint32 {
	return uint32(attr.Number(binary.BigEndian, attr.Map(body, answer)[unix.NFTA_GEN_ID]))
}

// ReadRule reads an answer to Rules, as a Shape.
func ReadRule(body []byte) string {
	attrs := attr.Map(body, answer)
	return Shape(attr.Text(attrs[unix.NFTA_RULE_CHAIN]), attrs[unix.NFTA_RULE_EXPRESSIONS])
}

// Shape is a rule's chain, and the names of its expressions. The kernel's answer has more about
// each expression than what was sent, and differs from one version to the next: the names stay.
func Shape(chain string, code Code) string {
	for _, expression := range attr.List(code, 0) {
		chain += " " + attr.Text(attr.Map(expression, 0)[unix.NFTA_EXPR_NAME])
	}
	return chain
}

// ReadElements reads an answer to Elements of a set.
func ReadElements(set string, body []byte) (list []Element) {
	for _, e := range attr.List(attr.Map(body, answer)[unix.NFTA_SET_ELEM_LIST_ELEMENTS], 0) {
		attrs := attr.Map(e, 0)
		flags := attr.Number(binary.BigEndian, attrs[unix.NFTA_SET_ELEM_FLAGS])
		list = append(list, Element{Set: set, End: flags&unix.NFT_SET_ELEM_INTERVAL_END != 0,
			Key:     attr.Map(attrs[unix.NFTA_SET_ELEM_KEY], 0)[unix.NFTA_DATA_VALUE],
			Data:    attr.Map(attrs[unix.NFTA_SET_ELEM_DATA], 0)[unix.NFTA_DATA_VALUE],
			Comment: Comment(attrs[unix.NFTA_SET_ELEM_USERDATA])})
	}
	return list
}
