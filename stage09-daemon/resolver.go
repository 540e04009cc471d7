// Names on a network. /etc/resolv.conf inside names 127.0.0.11, where box listens on sockets
// that were opened inside the container's network namespace; box itself stays outside. It
// answers for the containers of the network, whose names and addresses it reads from the leases,
// and forwards other questions to the host's resolvers, which may even be on the host's
// loopback. The package dns speaks the protocol.

package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/etc"
	"stagebox/stage08-network/dns"
	"stagebox/stage08-network/ipam"
)

// resolverAddr is the address of the resolver inside, as in Docker.
var resolverAddr = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// resolver answers the questions of one container.
type resolver struct {
	dir     networks
	id      string       // of the container
	servers []netip.Addr // given with --dns; else the host's
	udp     *plan.Call   // the calls that open the sockets
	tcp     *plan.Call
	server  *dns.Server       // nil until start
	links   map[string]string // names of containers, by those that only this one calls them
}

const (
	mostQuestions = 64 // at once
	lifetime      = 5  // seconds for which an answer may be kept: containers come and go
)

// plan opens the sockets, in the network namespace that the list has entered.
func (r *resolver) plan(h *Plan) {
	addr := plan.Ptr(unsafe.Pointer(&unix.RawSockaddrInet4{Family: unix.AF_INET,
		Port: binary.NativeEndian.Uint16([]byte{0, 53}), Addr: resolverAddr.As4()}),
		fmt.Sprintf("{sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr(%q)}",
			resolverAddr))
	at := func(kind uintptr, text, why string) *plan.Call {
		const flags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
		c := h.Add("socket", unix.SYS_SOCKET, plan.Sym(unix.AF_INET, "AF_INET"),
			plan.Sym(kind|flags, text+"|SOCK_CLOEXEC|SOCK_NONBLOCK"),
			plan.Sym(unix.IPPROTO_IP, "IPPROTO_IP")).Why(why)
		h.Add("bind", unix.SYS_BIND, c.Result(), addr, unix.SizeofSockaddrInet4)
		return c
	}
	r.udp = at(unix.SOCK_DGRAM, "SOCK_DGRAM", "where the container asks for names; box answers")
	r.tcp = at(unix.SOCK_STREAM, "SOCK_STREAM", "and for what does not fit in a packet")
	h.Add("listen", unix.SYS_LISTEN, r.tcp.Result(), mostQuestions)
}

// start answers questions until stop.
func (r *resolver) start() error {
	server := &dns.Server{Lookup: r.lookUp, Upstream: r.upstream,
		Limit: mostQuestions, TTL: lifetime}
	if err := server.StartOn(r.udp.Ret, r.tcp.Ret); err != nil {
		return fmt.Errorf("resolver: %w", err)
	}
	r.server = server
	return nil
}

func (r *resolver) stop() {
	if r.server != nil {
		r.server.Close()
	}
}

// lookUp answers from the leases, which list the containers on a network at this moment, by NAME
// and NAME.NETWORK: those of all networks that the container is on. A name that several containers
// share has the addresses of all. Other names are ErrUnknown, which forwards the question; where
// all networks are internal, which questions may not leave either, they are ErrNoName.
func (r *resolver) lookUp(name string) (found dns.Records, err error) {
	all, err := r.dir.List()
	if err != nil {
		return found, err
	}
	internal, name := true, cmp.Or(r.links[name], name)
	for _, n := range all {
		list, _, err := r.dir.Leases(n)
		if err != nil {
			return found, err
		}
		isOwn := func(l ipam.Lease) bool { return l.ID == r.id }
		if slices.ContainsFunc(list, isOwn) {
			n.Answer(list, name, &found)
			internal = internal && n.Internal
		}
	}
	switch {
	case len(found.Names)+len(found.Addrs) > 0:
		return found, nil
	case internal:
		return found, dns.ErrNoName
	}
	return found, dns.ErrUnknown
}

// upstream returns the servers for other names. The host's may change while we run.
func (r *resolver) upstream() []netip.Addr {
	if len(r.servers) > 0 {
		return r.servers
	}
	return dns.Nameservers(etc.ResolvConf())
}
