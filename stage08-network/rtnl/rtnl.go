// Package rtnl reads what the kernel reports about links and routes: the bodies of messages of
// rtnetlink(7), struct ifinfomsg or struct rtmsg and attributes. Nothing is asked here; a body that
// is too short is neither a link nor a route.
package rtnl

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/attr"
)

// Link is a link of a network namespace.
type Link struct {
	Index, Master, MTU int
	Peer               int // the index of a veth's other end, in its own namespace
	Name, MAC          string
	Up                 bool
}

// ReadLink reads a message of type RTM_NEWLINK.
func ReadLink(body []byte) Link {
	if len(body) < unix.SizeofIfInfomsg {
		return Link{}
	}
	attrs, native := attr.Map(body, unix.SizeofIfInfomsg), binary.NativeEndian
	return Link{
		Index:  int(native.Uint32(body[4:])),
		Master: attr.Number(native, attrs[unix.IFLA_MASTER]),
		MTU:    attr.Number(native, attrs[unix.IFLA_MTU]),
		Peer:   attr.Number(native, attrs[unix.IFLA_LINK]),
		Name:   attr.Text(attrs[unix.IFLA_IFNAME]),
		MAC:    net.HardwareAddr(attrs[unix.IFLA_ADDRESS]).String(),
		Up:     native.Uint32(body[8:])&unix.IFF_UP != 0,
	}
}

// Route is a route; one to everywhere has no bits.
type Route struct {
	To      netip.Prefix
	Link    int  // its index
	Learned bool // from a router's advertisement
}

// ReadRoute reads a message of type RTM_NEWROUTE.
func ReadRoute(body []byte) (route Route, ok bool) {
	if len(body) < unix.SizeofRtMsg {
		return route, false
	}
	attrs := attr.Map(body, unix.SizeofRtMsg)
	addr, ok := netip.AddrFromSlice(attrs[unix.RTA_DST])
	switch {
	case ok:
	case body[0] == unix.AF_INET6:
		addr = netip.IPv6Unspecified()
	default:
		addr = netip.IPv4Unspecified()
	}
	route = Route{netip.PrefixFrom(addr, int(body[1])),
		attr.Number(binary.NativeEndian, attrs[unix.RTA_OIF]), body[5] == unix.RTPROT_RA}
	return route, route.To.IsValid()
}

// LeadsOut reports whether a route leads everywhere. One on loopback means unreachable.
func (r Route) LeadsOut() bool { return r.To.Bits() == 0 && r.Link > 1 }

// UplinkMTU returns the MTU of the default route, which larger packets would not fit; 1500 if
// there is none.
func UplinkMTU(routes []Route, links []Link) uint32 {
	const least = 1280 // for IPv6
	for _, r := range routes {
		i := slices.IndexFunc(links, func(l Link) bool { return l.Index == r.Link })
		if r.To.Bits() == 0 && i >= 0 && links[i].Name != "lo" && links[i].MTU >= least {
			return uint32(min(links[i].MTU, 65535))
		}
	}
	return 1500
}

// FreeName is a name that no link in the network namespace of a process has: its links are the
// lines of /proc/PID/net/dev (proc(5)).
func FreeName(pid int) (string, error) {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		name, _, _ := strings.Cut(strings.TrimLeft(line, " "), ":")
		taken[name] = true
	}
	for i := 0; ; i++ {
		if name := fmt.Sprintf("eth%d", i); !taken[name] {
			return name, nil
		}
	}
}

// HasIPv6 reports whether IPv6 is on for the host and for the links that it will make.
func HasIPv6() bool {
	for _, links := range []string{"all", "default"} {
		off, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + links + "/disable_ipv6")
		if err != nil || string(off) != "0\n" {
			return false
		}
	}
	return true
}

// Learning returns the names of links whose routes come from a router.
func Learning(links []Link, routes []Route) (names []string) {
	for _, l := range links {
		learned := func(r Route) bool { return r.Learned && r.Link == l.Index }
		if slices.ContainsFunc(routes, learned) {
			names = append(names, l.Name)
		}
	}
	return names
}
