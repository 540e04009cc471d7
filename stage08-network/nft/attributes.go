package nft

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// attributes are encoded: length and type in the order of the machine, then the value, filled up
// to four bytes. Numbers are big-endian.
type attributes []byte

func (a attributes) bytes(kind uint16, value []byte) attributes {
	a = binary.NativeEndian.AppendUint16(a, uint16(4+len(value)))
	a = binary.NativeEndian.AppendUint16(a, kind)
	a = append(a, value...)
	return append(a, make([]byte, -len(a)&3)...)
}

func (a attributes) text(kind uint16, s string) attributes {
	return a.bytes(kind, append([]byte(s), 0))
}

func (a attributes) number(kind uint16, n uint32) attributes {
	return a.bytes(kind, binary.BigEndian.AppendUint32(nil, n))
}

func (a attributes) nest(kind uint16, inner attributes) attributes {
	return a.bytes(kind|unix.NLA_F_NESTED, inner)
}

func value(v []byte) attributes { return attributes{}.bytes(unix.NFTA_DATA_VALUE, v) }
