// Package proxy is a userland proxy, as Docker's docker-proxy: it listens on a port of the host
// and passes streams of TCP or packets of UDP on to an address of a container. While it holds
// the port no other program can take it. User says which process has a port already.
package proxy

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Proxy is a port of the host that is held open.
type Proxy struct {
	streams net.Listener // nil for UDP
	packets *net.UDPConn // nil for TCP
	target  func() string
}

// Limits of a proxy.
const (
	maxClients  = 1024        // of UDP, each of which takes a socket
	idle        = time.Minute // without an answer, after which a client of UDP is forgotten
	dialTimeout = 10 * time.Second
)

// Listen takes a port. The network is tcp4, tcp6, udp4 or udp6, and address a host and a port as
// for net.Listen: no host means every address, port 0 any free port. Target is asked
// for the container's address and port when a client comes: they may change. Nothing is passed on
// before Serve.
func Listen(network, address string, target func() string) (*Proxy, error) {
	if strings.HasPrefix(network, "udp") {
		packets, err := net.ListenPacket(network, address)
		if err != nil {
			return nil, err
		}
		return &Proxy{packets: packets.(*net.UDPConn), target: target}, nil
	}
	streams, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return &Proxy{streams: streams, target: target}, nil
}

// Port is the number of the port.
func (p *Proxy) Port() uint16 {
	if p.packets != nil {
		return uint16(p.packets.LocalAddr().(*net.UDPAddr).Port)
	}
	return uint16(p.streams.Addr().(*net.TCPAddr).Port)
}

// Close gives the port back. Connections that are open stay so until either side ends them.
func (p *Proxy) Close() error {
	if p.packets != nil {
		return p.packets.Close()
	}
	return p.streams.Close()
}

// CloseAll gives several ports back.
func CloseAll(list []*Proxy) {
	for _, p := range list {
		p.Close()
	}
}

// Serve passes on what comes to the port, until Close.
func (p *Proxy) Serve() {
	if p.packets != nil {
		p.servePackets()
		return
	}
	for {
		client, err := p.streams.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors left, perhaps: the next one may find some
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go passStream(client.(*net.TCPConn), p.target())
	}
}

// passStream connects a client and the target, each direction until its own end.
func passStream(client *net.TCPConn, target string) {
	defer client.Close()
	conn, err := net.DialTimeout("tcp", target, dialTimeout)
	if err != nil {
		client.SetLinger(0) // the client sees a connection that is refused
		return
	}
	defer conn.Close()
	inside := conn.(*net.TCPConn)
	var both sync.WaitGroup
	pass := func(to, from *net.TCPConn) {
		io.Copy(to, from) // an error ends the stream, and neither side can be told more
		to.CloseWrite()
	}
	both.Go(func() { pass(inside, client) })
	both.Go(func() { pass(client, inside) })
	both.Wait()
}

// clients are the sockets to the target, one for each client, for its answers.
type clients struct {
	sync.Mutex
	sockets map[netip.AddrPort]net.Conn
}

func (p *Proxy) servePackets() {
	all := &clients{sockets: map[netip.AddrPort]net.Conn{}}
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := p.packets.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if inside := p.socketFor(all, from); inside != nil {
			inside.Write(buffer[:n]) // a packet may be lost
		}
	}
}

// socketFor finds a client's socket or makes one, and returns nil where there can be none.
func (p *Proxy) socketFor(all *clients, client netip.AddrPort) net.Conn {
	all.Lock()
	defer all.Unlock()
	if inside := all.sockets[client]; inside != nil || len(all.sockets) >= maxClients {
		return inside
	}
	inside, err := net.Dial("udp", p.target())
	if err != nil {
		return nil
	}
	all.sockets[client] = inside
	go func() {
		p.answer(inside, client)
		all.Lock()
		delete(all.sockets, client)
		all.Unlock()
	}()
	return inside
}

// answer passes the target's answers on to a client, until none has come for a while.
func (p *Proxy) answer(inside net.Conn, client netip.AddrPort) {
	defer inside.Close()
	buffer := make([]byte, 1<<16)
	for {
		inside.SetReadDeadline(time.Now().Add(idle))
		n, err := inside.Read(buffer)
		if err != nil {
			return
		}
		p.packets.WriteToUDPAddrPort(buffer[:n], client)
	}
}
