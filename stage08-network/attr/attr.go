// Package attr reads netlink(7) messages: the kernel's replies, and the attributes in them. An
// attribute is a length and a type, of two bytes each in the machine's byte order, and a value,
// padded to four bytes; the value may be attributes again. The caller sends the questions. A
// malformed attribute is not an error: reading ends there.
//
// The lesson reads ReadAck and List.
package attr

import (
	"encoding/binary"
	"iter"
	"strings"

	"golang.org/x/sys/unix"
)

// header is the size of struct nlattr, align what every part is padded to.
const header, align = 4, 4

// Map returns the attributes after the first skip bytes, by type without its flags; the last of
// two with one type.
func Map(data []byte, skip int) map[uint16][]byte {
	attrs := map[uint16][]byte{}
	for kind, value := range List(data, skip) {
		attrs[kind] = value
	}
	return attrs
}

// List yields the attributes after the first skip bytes, in their order, by type without its
// flags. It ends at a malformed one.
func List(data []byte, skip int) iter.Seq2[uint16, []byte] {
	const flags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER
	return func(yield func(uint16, []byte) bool) {
		data := data[min(skip, len(data)):]
		for len(data) >= header {
			size := int(binary.NativeEndian.Uint16(data))
			if size < header || size > len(data) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(data[2:])&^flags, data[header:size]) {
				return
			}
			data = data[min((size+align-1)&^(align-1), len(data)):]
		}
	}
}

// Number reads a value of four bytes in a byte order; a shorter one is 0.
func Number(order binary.ByteOrder, value []byte) int {
	if len(value) < 4 {
		return 0
	}
	return int(order.Uint32(value))
}

// Text reads a string up to its NUL byte.
func Text(value []byte) string {
	s, _, _ := strings.Cut(string(value), "\x00")
	return s
}
