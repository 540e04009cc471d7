// Names on a network. /etc/resolv.conf inside names 127.0.0.11, where a socket of box's
// listens that was opened inside the container's network namespace; box itself stays
// outside. It answers for the containers of the network, whose names and addresses it reads
// from the leases, and passes every other question on to the host's resolvers, unread: so
// those on the host's loopback serve too. The protocol is RFC 1035's, over UDP, and over TCP
// with two bytes of length before each message; dnsmessage knows how it is packed.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// resolverAddr is where a container asks, as in Docker.
var resolverAddr = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// resolver answers the questions of one container.
type resolver struct {
	dir     networks
	network *network
	servers []netip.Addr // that were asked for; else the host's
	udp     *plan.Call   // the sockets, while they are planned
	tcp     *plan.Call
	packets net.PacketConn
	streams net.Listener
	busy    chan struct{} // as many questions at once as are passed on
	callers chan struct{} // as many connections
}

const (
	mostQuestions = 64
	mostMessage   = 1<<16 - 1
	mostPacket    = 512             // of our own answers over UDP (RFC 1035, section 4.2.1)
	patience      = 3 * time.Second // with each of the host's resolvers
	lifetime      = 5               // seconds that an answer may be kept: containers come and go
)

// plan opens the sockets, in whatever network namespace the list is in.
func (r *resolver) plan(h *Plan) {
	at := func(kind uintptr, text, why string) *plan.Call {
		c := h.Add("socket", unix.SYS_SOCKET, plan.Sym(unix.AF_INET, "AF_INET"), plan.Sym(kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, text+"|SOCK_CLOEXEC|SOCK_NONBLOCK"), plan.Sym(unix.IPPROTO_IP, "IPPROTO_IP")).Why(why)
		addr := &unix.RawSockaddrInet4{Family: unix.AF_INET, Port: binary.NativeEndian.Uint16([]byte{0, 53}), Addr: resolverAddr.As4()}
		h.Add("bind", unix.SYS_BIND, c.Result(), plan.Ptr(unsafe.Pointer(addr), fmt.Sprintf("{sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr(%q)}", resolverAddr)), unix.SizeofSockaddrInet4)
		return c
	}
	r.udp = at(unix.SOCK_DGRAM, "SOCK_DGRAM", "where the container asks for names; box answers")
	r.tcp = at(unix.SOCK_STREAM, "SOCK_STREAM", "and for what does not fit in a packet")
	h.Add("listen", unix.SYS_LISTEN, r.tcp.Result(), mostQuestions)
}

// start answers from now on, until stop.
func (r *resolver) start() (err error) {
	if r.packets, err = net.FilePacketConn(fileOf(r.udp, "udp")); err != nil {
		return fmt.Errorf("resolver: %w", err)
	}
	if r.streams, err = net.FileListener(fileOf(r.tcp, "tcp")); err != nil {
		return fmt.Errorf("resolver: %w", err)
	}
	r.busy, r.callers = make(chan struct{}, mostQuestions), make(chan struct{}, mostQuestions)
	go r.servePackets()
	go r.serveStreams()
	return nil
}

// fileOf is the descriptor that a call returned, as a file; net copies it.
func fileOf(c *plan.Call, name string) *os.File { return os.NewFile(c.Ret, name) }

func (r *resolver) stop() {
	if r.packets != nil {
		r.packets.Close()
	}
	if r.streams != nil {
		r.streams.Close()
	}
}

func (r *resolver) servePackets() {
	buffer := make([]byte, mostMessage)
	for {
		n, from, err := r.packets.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		question := slices.Clone(buffer[:n])
		answer, final := r.own(question, "udp")
		if final {
			r.send(answer, from)
			continue
		}
		select {
		case r.busy <- struct{}{}:
			go func() {
				defer func() { <-r.busy }()
				r.send(r.forward(question, "udp", answer), from)
			}()
		default: // it asks again
		}
	}
}

// send answers, if there is an answer. Who does not get it asks again.
func (r *resolver) send(answer []byte, to net.Addr) {
	if answer != nil {
		r.packets.WriteTo(answer, to)
	}
}

func (r *resolver) serveStreams() {
	for {
		conn, err := r.streams.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		select {
		case r.callers <- struct{}{}:
			go func() {
				defer func() { conn.Close(); <-r.callers }()
				r.serveStream(conn)
			}()
		default:
			conn.Close()
		}
	}
}

// serveStream answers the questions of a connection in turn.
func (r *resolver) serveStream(conn net.Conn) {
	for {
		conn.SetDeadline(time.Now().Add(4 * patience))
		question, err := readDNS(conn)
		if err != nil {
			return
		}
		answer := r.answer(question, "tcp")
		if answer == nil || writeDNS(conn, answer) != nil {
			return
		}
	}
}

func readDNS(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

func writeDNS(w io.Writer, message []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}

// answer is the answer to a message, or nil for one that is no question.
func (r *resolver) answer(message []byte, over string) []byte {
	answer, final := r.own(message, over)
	if final {
		return answer
	}
	return r.forward(message, over, answer)
}

// own is what can be said at once, without asking anybody: whoever waits for silent servers
// must not keep containers from finding each other. An answer that is not final is for the
// case that nobody else has one.
func (r *resolver) own(message []byte, over string) (answer []byte, final bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || header.Response {
		return nil, true
	}
	question, err := parser.Question()
	switch {
	case header.OpCode != 0:
		return reply(header, nil, dnsmessage.RCodeNotImplemented), true
	case err != nil:
		return reply(header, nil, dnsmessage.RCodeFormatError), true
	}
	list, _, err := r.dir.leases(r.network, false)
	if err != nil {
		return reply(header, &question, dnsmessage.RCodeServerFailure), true
	}
	if resources, ours := lookUp(list, question); ours {
		return fitted(map[string]int{"udp": mostPacket, "tcp": mostMessage}[over], header, question, resources), true
	}
	if r.network.Internal { // which has no way out, not for questions either
		return reply(header, &question, dnsmessage.RCodeNameError), true
	}
	return reply(header, &question, dnsmessage.RCodeServerFailure), false
}

// forward passes a question on, and returns what else to say where nobody answers.
func (r *resolver) forward(question []byte, over string, otherwise []byte) []byte {
	for _, server := range r.upstream() {
		if answer, err := ask(server, question, over); err == nil {
			return answer
		}
	}
	return otherwise
}

// fitted is an answer of some bytes at the most. One that lacks some of the resources says
// so, and who wants all of them asks over TCP.
func fitted(most int, header dnsmessage.Header, question dnsmessage.Question, resources []dnsmessage.Resource) []byte {
	header.Truncated = false
	for {
		packed := reply(header, &question, dnsmessage.RCodeSuccess, resources...)
		if len(packed) <= most {
			return packed
		}
		header.Truncated, resources = true, resources[:len(resources)*most/len(packed)]
	}
}

// reply packs an answer of our own.
func reply(header dnsmessage.Header, question *dnsmessage.Question, code dnsmessage.RCode, answers ...dnsmessage.Resource) []byte {
	m := dnsmessage.Message{Answers: answers}
	m.ID, m.Response, m.Truncated, m.RCode = header.ID, true, header.Truncated, code
	m.OpCode, m.RecursionDesired, m.RecursionAvailable = header.OpCode, header.RecursionDesired, true
	if question != nil {
		m.Questions = []dnsmessage.Question{*question}
	}
	packed, err := m.Pack()
	if err != nil { // a name that cannot be packed again
		return nil
	}
	return packed
}

// lookUp answers from the leases. A name or address that is ours is not asked about
// elsewhere, whatever is asked: an empty answer says that it has nothing of this type.
func lookUp(list []lease, q dnsmessage.Question) (answers []dnsmessage.Resource, ours bool) {
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET, TTL: lifetime}
	add := func(body dnsmessage.ResourceBody) {
		if ours = true; body != nil && q.Class == dnsmessage.ClassINET {
			answers = append(answers, dnsmessage.Resource{Header: header, Body: body})
		}
	}
	for _, l := range list {
		switch {
		case name == reverseName(l.addr) || l.addr6.IsValid() && name == reverseName(l.addr6):
			target, err := dnsmessage.NewName(l.label() + ".")
			if err != nil || q.Type != dnsmessage.TypePTR {
				add(nil)
				continue
			}
			add(&dnsmessage.PTRResource{PTR: target})
		case !l.called(name):
		case q.Type == dnsmessage.TypeA:
			add(&dnsmessage.AResource{A: l.addr.As4()})
		case q.Type == dnsmessage.TypeAAAA && l.addr6.IsValid():
			add(&dnsmessage.AAAAResource{AAAA: l.addr6.As16()})
		default:
			add(nil)
		}
	}
	return answers, ours
}

// called tells whether a container has a name: one that was given, or its id, as it is shown.
func (l lease) called(name string) bool {
	return name == l.id[:min(12, len(l.id))] || slices.ContainsFunc(l.names, func(own string) bool { return strings.EqualFold(own, name) })
}

// reverseName is an address as a name, for the question who has it.
func reverseName(addr netip.Addr) string {
	var labels []string
	for _, b := range slices.Backward(addr.AsSlice()) {
		if addr.Is4() {
			labels = append(labels, strconv.Itoa(int(b)))
		} else {
			labels = append(labels, fmt.Sprintf("%x.%x", b&15, b>>4))
		}
	}
	return strings.Join(labels, ".") + map[bool]string{true: ".in-addr.arpa", false: ".ip6.arpa"}[addr.Is4()]
}

// upstream are the servers for what is not ours. The host's may change while we run.
func (r *resolver) upstream() []netip.Addr {
	if len(r.servers) > 0 {
		return r.servers
	}
	return nameservers(resolvConf())
}

// nameservers reads resolv.conf(5), where the first three count.
func nameservers(conf string) (list []netip.Addr) {
	for line := range strings.Lines(conf) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" || len(list) == 3 {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			list = append(list, addr)
		}
	}
	return list
}

// dnsPort is where servers are asked.
const dnsPort = 53

// ask passes a question on, byte by byte, and returns the answer, which has to be one to it.
func ask(server netip.Addr, question []byte, over string) ([]byte, error) {
	conn, err := net.DialTimeout(over, netip.AddrPortFrom(server, dnsPort).String(), patience)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if over == "tcp" {
		if err := writeDNS(conn, question); err != nil {
			return nil, err
		}
		answer, err := readDNS(conn)
		if err == nil && !answers(question, answer) {
			err = errors.New("the answer is to another question")
		}
		return answer, err
	}
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	answer := make([]byte, mostMessage)
	for {
		n, err := conn.Read(answer)
		if err != nil {
			return nil, err
		}
		if answers(question, answer[:n]) { // anybody may have sent the others
			return answer[:n], nil
		}
	}
}

// answers tells whether a message has the number of a question, and repeats it.
func answers(question, answer []byte) bool {
	var asked, told dnsmessage.Parser
	q, errQ := asked.Start(question)
	a, errA := told.Start(answer)
	if errQ != nil || errA != nil || q.ID != a.ID || !a.Response {
		return false
	}
	one, errQ := asked.Question()
	same, errA := told.Question()
	return errQ == nil && (errA != nil && a.RCode != dnsmessage.RCodeSuccess ||
		errA == nil && one.Type == same.Type && strings.EqualFold(one.Name.String(), same.Name.String()))
}

// resolvConfInside is the host's resolv.conf with other servers.
func resolvConfInside(host string, servers ...netip.Addr) string {
	var text strings.Builder
	for _, server := range servers {
		fmt.Fprintf(&text, "nameserver %s\n", server)
	}
	for line := range strings.Lines(host) {
		if word := strings.Fields(line); len(word) > 1 && (word[0] == "search" || word[0] == "options") {
			text.WriteString(strings.Join(word, " ") + "\n")
		}
	}
	return text.String()
}
