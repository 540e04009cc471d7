package attr

import (
	"encoding/binary"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

// headerSize is the size of struct nlmsghdr, with which each message begins.
const headerSize = 16

// Reply is a message from the kernel: the fields of its header, and what follows it.
type Reply struct {
	Kind, Flags uint16
	Seq         uint32
	Body        []byte
}

// Replies yields the messages of a datagram, up to the first whose length is wrong. Their bodies are
// parts of the datagram.
func Replies(data []byte) iter.Seq[Reply] {
	return func(yield func(Reply) bool) {
		for len(data) >= headerSize {
			size := binary.NativeEndian.Uint32(data)
			if size < headerSize || uint64(size) > uint64(len(data)) {
				return
			}
			native := binary.NativeEndian
			m := Reply{native.Uint16(data[4:]), native.Uint16(data[6:]), native.Uint32(data[8:]),
				data[headerSize:size]}
			if !yield(m) {
				return
			}
			data = data[min((int(size)+align-1)&^(align-1), len(data)):]
		}
	}
}

// ReadAck reads a reply: the sequence number of the message that it answers, and its error, nil
// for success.
func ReadAck(data []byte) (at int, err error) {
	for m := range Replies(data) {
		if m.Kind == unix.NLMSG_ERROR {
			return int(m.Seq), m.Ack()
		}
	}
	return 0, fmt.Errorf("malformed netlink reply (%d bytes)", len(data))
}

// Ack is the error of an NLMSG_ERROR message: int32 error, the header of the message that it
// replies to and, unless the flags say otherwise, its body; then attributes, one of which is the
// kernel's sentence.
func (m Reply) Ack() error {
	if len(m.Body) < 4 {
		return fmt.Errorf("an answer without an error number")
	}
	errno := unix.Errno(-int32(Number(binary.NativeEndian, m.Body)))
	if errno == 0 {
		return nil
	}
	skip := 4 + headerSize
	if m.Flags&unix.NLM_F_CAPPED == 0 && len(m.Body) >= skip {
		skip = 4 + max(headerSize, int(binary.NativeEndian.Uint32(m.Body[4:])+align-1)&^(align-1))
	}
	says := Text(Map(m.Body, skip)[unix.NLMSGERR_ATTR_MSG])
	if m.Flags&unix.NLM_F_ACK_TLVS != 0 && says != "" {
		return fmt.Errorf("%w (%s)", errno, says)
	}
	return errno
}
