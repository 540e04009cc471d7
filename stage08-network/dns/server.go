// Package dns answers DNS questions (RFC 1035) on two sockets that it is given, one of UDP and
// one of TCP. A Server asks its Lookup first, at once, so that names of our own resolve while
// other servers are slow or silent. Every other question goes, byte for byte, to the servers
// that Upstream lists, which see it as if the client had asked. The package also reads and
// writes what a resolver needs to know of resolv.conf(5). Which names there are, and in which
// network namespace the sockets were opened, is the caller's business.
package dns

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// Records is what a name stands for.
type Records struct {
	Addrs []netip.Addr // answers to A and AAAA
	Names []string     // answers to PTR, without a dot at the end
}

var (
	// ErrUnknown is Lookup's answer for a name that is for other servers.
	ErrUnknown = errors.New("unknown name")
	// ErrNoName is Lookup's answer for a name that no one has, and that is not to be passed on.
	ErrNoName = errors.New("no such name")
)

// Server answers questions. Its fields are set before it starts.
type Server struct {
	// Lookup returns the records of a name, in lower case and without a dot at the end. It may
	// be called by several goroutines at once. A name that has no record of the type that was
	// asked for gets an empty answer. An error other than ErrUnknown and ErrNoName is answered
	// as a failure of the server.
	Lookup func(name string) (Records, error)

	// Upstream lists the servers that are asked for unknown names, in order, on port 53.
	Upstream func() []netip.Addr

	Limit int    // of questions that are passed on, and of connections, at the same time
	TTL   uint32 // seconds for which a client may keep an answer

	packets net.PacketConn
	streams net.Listener
	busy    chan struct{} // has an item for each question that is passed on
	callers chan struct{} // and for each connection
}

const (
	maxMessage = 1<<16 - 1
	maxPacket  = 512             // of our own answers over UDP (RFC 1035, section 4.2.1)
	patience   = 3 * time.Second // with each upstream server
)

// StartOn is Start for the descriptors of two sockets, which it copies and closes.
func (s *Server) StartOn(udp, tcp uintptr) error {
	packetFile, streamFile := os.NewFile(udp, "udp"), os.NewFile(tcp, "tcp")
	defer packetFile.Close()
	defer streamFile.Close()
	packets, err := net.FilePacketConn(packetFile)
	if err != nil {
		return err
	}
	streams, err := net.FileListener(streamFile)
	if err != nil {
		return errors.Join(err, packets.Close())
	}
	s.Start(packets, streams)
	return nil
}

// Start answers what comes to the sockets, in the background, until Close closes them.
func (s *Server) Start(packets net.PacketConn, streams net.Listener) {
	s.packets, s.streams = packets, streams
	s.busy, s.callers = make(chan struct{}, s.Limit), make(chan struct{}, s.Limit)
	go s.servePackets()
	go s.serveStreams()
}

// Close closes the sockets.
func (s *Server) Close() error { return errors.Join(s.packets.Close(), s.streams.Close()) }

func (s *Server) servePackets() {
	buffer := make([]byte, maxMessage)
	for {
		n, from, err := s.packets.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			s.servePacket(slices.Clone(buffer[:n]), from)
		}
	}
}

// servePacket answers now, or in the background where another server has to be asked.
func (s *Server) servePacket(question []byte, from net.Addr) {
	answer, final := s.own(question, maxPacket)
	if final {
		s.send(answer, from)
		return
	}
	select {
	case s.busy <- struct{}{}:
		go func() {
			defer func() { <-s.busy }()
			s.send(s.forward(question, "udp", answer), from)
		}()
	default: // the client asks again
	}
}

// send answers, if there is an answer. A client that does not get it asks again.
func (s *Server) send(answer []byte, to net.Addr) {
	if answer != nil {
		s.packets.WriteTo(answer, to)
	}
}

func (s *Server) serveStreams() {
	for {
		conn, err := s.streams.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		select {
		case s.callers <- struct{}{}:
			go func() {
				defer func() { conn.Close(); <-s.callers }()
				s.serveStream(conn)
			}()
		default:
			conn.Close()
		}
	}
}

// serveStream answers the questions of a connection in turn.
func (s *Server) serveStream(conn net.Conn) {
	for {
		conn.SetDeadline(time.Now().Add(4 * patience))
		question, err := readMessage(conn)
		if err != nil {
			return
		}
		answer, final := s.own(question, maxMessage)
		if !final {
			answer = s.forward(question, "tcp", answer)
		}
		if answer == nil || writeMessage(conn, answer) != nil {
			return
		}
	}
}

// forward passes a question on, and returns otherwise where no server answers.
func (s *Server) forward(question []byte, over string, otherwise []byte) []byte {
	for _, server := range s.Upstream() {
		if answer, err := ask(server, question, over); err == nil {
			return answer
		}
	}
	return otherwise
}
