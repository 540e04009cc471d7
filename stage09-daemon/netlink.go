// Programs query and change the kernel's network by messages on a socket (netlink(7)). A message
// is a header, a fixed part that depends on its type, and attributes: length, type, value,
// padded to four bytes; a value may be attributes again. Messages are composed as data here,
// bytes beside their text, and sent by sendto(2); the reply is an error number, 0 for success,
// and often a sentence. Attributes are native-endian for rtnetlink(7), and big-endian for
// nf_tables, whose messages the package nft composes.

package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"

	"stagebox/stage08-network/attr"
)

// nlMessage is a message that asks the kernel for a change.
type nlMessage struct {
	name  string // of its type
	kind  uint16
	flags uint16
	body  nlBody
}

// nlBody is what follows the header: the bytes, and their text in the manner of strace.
type nlBody struct {
	data  []byte
	texts []string
}

// nlHeader is the size of struct nlmsghdr, nlAlign what every part is padded to.
const nlHeader, nlAlign = 16, 4

func (b nlBody) attr(kind uint16, name string, value []byte, text string) nlBody {
	data := binary.NativeEndian.AppendUint16(b.data, uint16(4+len(value)))
	data = binary.NativeEndian.AppendUint16(data, kind)
	data = append(data, value...)
	b.data = append(data, make([]byte, -len(data)&(nlAlign-1))...)
	if name != "" {
		b.texts = append(b.texts, name+"="+text)
	}
	return b
}

func (b nlBody) str(kind uint16, name, s string) nlBody {
	return b.attr(kind, name, append([]byte(s), 0), plan.Quote(s))
}

func (b nlBody) u32(kind uint16, name string, n uint32, text string) nlBody {
	return b.attr(kind, name, binary.NativeEndian.AppendUint32(nil, n), text)
}

func (b nlBody) nest(kind uint16, name string, inner nlBody) nlBody {
	return b.attr(kind|unix.NLA_F_NESTED, name, inner.data, "{"+strings.Join(inner.texts, ", ")+"}")
}

// pack makes one datagram of messages, numbered from 1 on. Only the last asks for a reply: the
// kernel takes them in turn and always replies to one that fails, so the first reply is enough.
func pack(messages []nlMessage) (data []byte, text string) {
	last := len(messages) - 1
	for last > 0 && messages[last].kind == unix.NFNL_MSG_BATCH_END {
		last-- // older kernels do not reply to it
	}
	var texts []string
	for i, m := range messages {
		m.flags |= unix.NLM_F_REQUEST
		if i == last {
			m.flags |= unix.NLM_F_ACK
		}
		data = binary.NativeEndian.AppendUint32(data, uint32(nlHeader+len(m.body.data)))
		data = binary.NativeEndian.AppendUint16(data, m.kind)
		data = binary.NativeEndian.AppendUint16(data, m.flags)
		data = binary.NativeEndian.AppendUint32(data, uint32(i+1))
		data = binary.NativeEndian.AppendUint32(data, 0) // to the kernel
		data = append(data, m.body.data...)
		flags := plan.Bits(uint64(m.flags), nlFlags).String()
		fields := append([]string{"nlmsg_type=" + m.name, "nlmsg_flags=" + flags}, m.body.texts...)
		texts = append(texts, "{"+strings.Join(fields, ", ")+"}")
	}
	return data, "[" + strings.Join(texts, ", ") + "]"
}

// NetlinkSocket is socket(2) and setsockopt(2) of a netlink protocol.
func (p *Plan) NetlinkSocket(protocol uintptr, name string) plan.Arg {
	socket := p.Add("socket", unix.SYS_SOCKET, plan.Sym(unix.AF_NETLINK, "AF_NETLINK"),
		plan.Sym(unix.SOCK_RAW|unix.SOCK_CLOEXEC, "SOCK_RAW|SOCK_CLOEXEC"),
		plan.Sym(protocol, name)).
		Why("to talk to the kernel about the network").
		Hint(unix.EPROTONOSUPPORT, "the kernel has no netfilter: modprobe nf_tables").Result()
	p.Add("setsockopt", unix.SYS_SETSOCKOPT, socket, plan.Sym(unix.SOL_NETLINK, "SOL_NETLINK"),
		plan.Sym(unix.NETLINK_EXT_ACK, "NETLINK_EXT_ACK"),
		plan.Ptr(unsafe.Pointer(&[]int32{1}[0]), "[1]"), 4).Why("errors come with a sentence")
	return socket
}

// Netlink is sendto(2) of messages in one datagram, and recvfrom(2) of the reply. It returns the
// datagram, in which the caller may fill in numbers that earlier calls return. If done is not nil,
// it is called with the kernel's error, nil when all changes are made, and its result decides.
func (p *Plan) Netlink(socket plan.Arg, why string, done func(reply error) error,
	messages ...nlMessage) []byte {
	data, text := pack(messages)
	p.Add("sendto", unix.SYS_SENDTO, socket, plan.Ptr(unsafe.Pointer(&data[0]), text),
		len(data), 0, nil, 0).Why(why)
	buffer := make([]byte, 1<<14)
	reply := plan.Ptr(unsafe.Pointer(&buffer[0]), "{nlmsg_type=NLMSG_ERROR, error=0}")
	c := p.Add("recvfrom", unix.SYS_RECVFROM, socket, reply, len(buffer), 0, nil, nil).Why("done?")
	c.Then(func() {
		at, err := attr.ReadAck(buffer[:min(int(c.Ret), len(buffer))])
		if err != nil {
			c.SetText(1, "{nlmsg_type=NLMSG_ERROR, error="+err.Error()+"}")
			if at > 0 && at <= len(messages) {
				err = fmt.Errorf("%s: %w", messages[at-1].name, err)
			}
		}
		if done != nil {
			err = done(err)
		}
		if err != nil { // the call itself has succeeded: the reply ends the list
			c.Reject(fmt.Errorf("the kernel refuses %w", err))
		}
	})
	return data
}

// sendNetlink sends messages at once, outside of any list that --explain shows.
func sendNetlink(protocol uintptr, messages ...nlMessage) error {
	p := hostPlan()
	socket := p.NetlinkSocket(protocol, fmt.Sprint(protocol))
	p.Netlink(socket, "", nil, messages...)
	err := p.Perform(nil)
	if p.Calls[0].Errno == 0 {
		unix.Close(int(socket.Number()))
	}
	return err
}

// askNetlink sends a query and returns the kernel's reply: one message, or all with NLM_F_DUMP.
func askNetlink(protocol int, kind, flags uint16, body []byte) ([]attr.Reply, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("socket(AF_NETLINK): %w", err)
	}
	defer unix.Close(socket)
	request, _ := pack([]nlMessage{{kind: kind, flags: flags, body: nlBody{data: body}}})
	if flags&unix.NLM_F_DUMP == 0 { // the reply itself is enough
		request[6] &^= unix.NLM_F_ACK
	}
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(socket, request, 0, kernel); err != nil {
		return nil, fmt.Errorf("sendto(AF_NETLINK): %w", err)
	}
	return readReplies(socket, flags&unix.NLM_F_DUMP != 0)
}

// readReplies receives one datagram, or a whole dump, which ends with a message that says so.
func readReplies(socket int, dump bool) (all []attr.Reply, err error) {
	for {
		buffer := make([]byte, 1<<16)
		n, _, err := unix.Recvfrom(socket, buffer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("recvfrom(AF_NETLINK): %w", err)
		}
		for m := range attr.Replies(buffer[:n]) {
			switch {
			case m.Kind == unix.NLMSG_ERROR:
				return all, m.Ack()
			case m.Kind == unix.NLMSG_DONE:
				return all, nil
			}
			all = append(all, m)
		}
		if !dump {
			return all, nil
		}
	}
}

var nlFlags = []plan.Flag{
	{unix.NLM_F_REQUEST, "NLM_F_REQUEST"}, {unix.NLM_F_ACK, "NLM_F_ACK"},
	{unix.NLM_F_REPLACE, "NLM_F_REPLACE"}, {unix.NLM_F_EXCL, "NLM_F_EXCL"},
	{unix.NLM_F_CREATE, "NLM_F_CREATE"}, {unix.NLM_F_APPEND, "NLM_F_APPEND"},
}
