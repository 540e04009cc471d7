// A bridge is a switch in the kernel, and a veth(4) pair is a cable with two ends. One end is
// attached to the bridge, the other is created inside the container's network namespace
// (network_namespaces(7)), as its eth0. This file composes the messages for that, in the order
// of rtnetlink(7): links, addresses, routes. It also reads the links and routes that there are.

package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage08-network/attr"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/rtnl"
)

const vethInfoPeer = 1 // VETH_INFO_PEER, which x/sys/unix does not have

// linkBody is struct ifinfomsg, for a link that is to be up.
func linkBody() nlBody {
	b := nlBody{texts: []string{"ifi_flags=IFF_UP"}, data: make([]byte, unix.SizeofIfInfomsg)}
	binary.NativeEndian.PutUint32(b.data[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(b.data[12:], unix.IFF_UP)
	return b
}

// newBridge makes a bridge, or finds that it is there already.
func newBridge(n *ipam.Network) nlMessage {
	return nlMessage{"RTM_NEWLINK", unix.RTM_NEWLINK, unix.NLM_F_CREATE, linkBody().
		str(unix.IFLA_IFNAME, "IFLA_IFNAME", n.Bridge).
		u32(unix.IFLA_MTU, "IFLA_MTU", n.MTU, fmt.Sprint(n.MTU)).
		mac(ipam.HardwareAddr(n.Gateway)). // else that of a port, which may go
		nest(unix.IFLA_LINKINFO, "IFLA_LINKINFO", linkKind("bridge"))}
}

// newVeth makes a veth pair from a bridge to the network namespace of a process.
func newVeth(a *attachment, bridge int, pid string) nlMessage {
	n := a.network
	number, _ := strconv.Atoi(pid)                           // 0 in a dry run: pid is the word PID
	body := nlBody{data: make([]byte, unix.SizeofIfInfomsg)} // not up: it has no other end yet
	peer := body.
		str(unix.IFLA_IFNAME, "IFLA_IFNAME", a.inside).
		u32(unix.IFLA_MTU, "IFLA_MTU", n.MTU, fmt.Sprint(n.MTU)).
		mac(a.lease.HardwareAddr()).
		u32(unix.IFLA_NET_NS_PID, "IFLA_NET_NS_PID", uint32(number), pid)
	const flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	return nlMessage{"RTM_NEWLINK", unix.RTM_NEWLINK, flags, linkBody().
		str(unix.IFLA_IFNAME, "IFLA_IFNAME", a.veth).
		u32(unix.IFLA_MTU, "IFLA_MTU", n.MTU, fmt.Sprint(n.MTU)).
		u32(unix.IFLA_MASTER, "IFLA_MASTER", uint32(bridge), `if_nametoindex("`+n.Bridge+`")`).
		nest(unix.IFLA_LINKINFO, "IFLA_LINKINFO", linkKind("veth").
			nest(unix.IFLA_INFO_DATA, "IFLA_INFO_DATA", nlBody{}.
				nest(vethInfoPeer, "VETH_INFO_PEER", peer)))}
}

func linkKind(kind string) nlBody {
	return nlBody{}.str(unix.IFLA_INFO_KIND, "IFLA_INFO_KIND", kind)
}

// hairpin lets the bridge send a frame back through the port that it came from. A container that
// connects to its own published port needs that where bridged frames pass the host's rules
// (br_netfilter), which then redirect them on the way through the bridge.
func hairpin(name string) nlMessage {
	mode := nlBody{}.attr(unix.IFLA_BRPORT_MODE, "IFLA_BRPORT_MODE", []byte{1}, "1")
	return nlMessage{"RTM_NEWLINK", unix.RTM_NEWLINK, 0, linkBody().
		str(unix.IFLA_IFNAME, "IFLA_IFNAME", name).
		nest(unix.IFLA_LINKINFO, "IFLA_LINKINFO", nlBody{}.
			str(unix.IFLA_INFO_SLAVE_KIND, "IFLA_INFO_SLAVE_KIND", "bridge").
			nest(unix.IFLA_INFO_SLAVE_DATA, "IFLA_INFO_SLAVE_DATA", mode))}
}

// portOff has a bridge neither take from a port nor give to it, and forget the addresses behind it.
// The message is one of the bridge's own family: it leaves the link itself alone.
func portOff(index int) nlMessage {
	data := make([]byte, unix.SizeofIfInfomsg)
	data[0] = unix.AF_BRIDGE
	binary.NativeEndian.PutUint32(data[4:], uint32(index))
	const disabled = 0 // BR_STATE_DISABLED of if_bridge.h
	off := nlBody{}.attr(unix.IFLA_BRPORT_STATE, "IFLA_BRPORT_STATE", []byte{disabled}, "0").
		attr(unix.IFLA_BRPORT_FLUSH, "IFLA_BRPORT_FLUSH", nil, "")
	return nlMessage{"RTM_SETLINK", unix.RTM_SETLINK, 0,
		nlBody{data: data}.nest(unix.IFLA_PROTINFO, "IFLA_PROTINFO", off)}
}

// linkUp switches a link on.
func linkUp(name string) nlMessage {
	return nlMessage{"RTM_NEWLINK", unix.RTM_NEWLINK, 0, linkBody().
		str(unix.IFLA_IFNAME, "IFLA_IFNAME", name)}
}

// delLink removes a link. With one end of a veth pair the other goes too.
func delLink(name string) nlMessage {
	body := nlBody{data: make([]byte, unix.SizeofIfInfomsg)}
	return nlMessage{"RTM_DELLINK", unix.RTM_DELLINK, 0, body.
		str(unix.IFLA_IFNAME, "IFLA_IFNAME", name)}
}

// mac gives a link a MAC address, made of its IPv4 address unless a flag says another. The next
// container with that address is found at once, since no neighbour has to forget the last one's.
func (b nlBody) mac(hardware net.HardwareAddr) nlBody {
	return b.attr(unix.IFLA_ADDRESS, "IFLA_ADDRESS", hardware, hardware.String())
}

// newAddress gives a link an address. If the link does not exist yet, setLinkIndex adds its
// index later. Duplicates are not detected, which would take IPv6 a second.
func newAddress(link string, index int, addr netip.Addr, bits int) nlMessage {
	family, text := family(addr)
	data := make([]byte, unix.SizeofIfAddrmsg)
	data[0], data[1], data[2] = family, byte(bits), unix.IFA_F_NODAD
	binary.NativeEndian.PutUint32(data[4:], uint32(index))
	b := nlBody{data: data, texts: []string{"ifa_family=" + text,
		fmt.Sprintf("ifa_prefixlen=%d", bits), "ifa_flags=IFA_F_NODAD",
		`ifa_index=if_nametoindex("` + link + `")`}}
	return nlMessage{"RTM_NEWADDR", unix.RTM_NEWADDR, unix.NLM_F_CREATE | unix.NLM_F_REPLACE,
		b.ip(unix.IFA_LOCAL, "IFA_LOCAL", addr).ip(unix.IFA_ADDRESS, "IFA_ADDRESS", addr)}
}

// setLinkIndex writes the index of a link into the messages of a datagram that give it addresses.
func setLinkIndex(data []byte, index int) {
	for m := range attr.Replies(data) {
		if m.Kind == unix.RTM_NEWADDR {
			binary.NativeEndian.PutUint32(m.Body[4:], uint32(index))
		}
	}
}

// defaultRoute sends everything that is not for a neighbour to a gateway.
func defaultRoute(gateway netip.Addr) nlMessage {
	family, text := family(gateway)
	data := make([]byte, unix.SizeofRtMsg)
	data[0], data[4], data[5] = family, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT
	data[6], data[7] = unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST
	b := nlBody{data: data, texts: []string{"rtm_family=" + text, "rtm_dst_len=0",
		"rtm_table=RT_TABLE_MAIN", "rtm_type=RTN_UNICAST"}}
	return nlMessage{"RTM_NEWROUTE", unix.RTM_NEWROUTE, unix.NLM_F_CREATE | unix.NLM_F_EXCL,
		b.ip(unix.RTA_GATEWAY, "RTA_GATEWAY", gateway)}
}

func (b nlBody) ip(kind uint16, name string, addr netip.Addr) nlBody {
	return b.attr(kind, name, addr.AsSlice(), plan.Quote(addr.String()))
}

func family(addr netip.Addr) (number byte, text string) {
	if addr.Is4() {
		return unix.AF_INET, "AF_INET"
	}
	return unix.AF_INET6, "AF_INET6"
}

// linkNamed queries one link; the error is ENODEV if there is none.
func linkNamed(name string) (rtnl.Link, error) {
	body := nlBody{data: make([]byte, unix.SizeofIfInfomsg)}.str(unix.IFLA_IFNAME, "", name)
	found, err := askNetlink(unix.NETLINK_ROUTE, unix.RTM_GETLINK, 0, body.data)
	if err == nil && len(found) == 0 {
		err = unix.ENODEV
	}
	if err != nil {
		return rtnl.Link{}, fmt.Errorf("link %s: %w", name, err)
	}
	return rtnl.ReadLink(found[0].Body), nil
}

// hostLinks returns all links of this network namespace.
func hostLinks() ([]rtnl.Link, error) {
	question := make([]byte, unix.SizeofIfInfomsg)
	found, err := askNetlink(unix.NETLINK_ROUTE, unix.RTM_GETLINK, unix.NLM_F_DUMP, question)
	if err != nil {
		return nil, fmt.Errorf("the list of links: %w", err)
	}
	var list []rtnl.Link
	for _, m := range found {
		list = append(list, rtnl.ReadLink(m.Body))
	}
	return list, nil
}

// hostRoutes returns the routes of all tables, those to the host's own addresses included.
func hostRoutes() ([]rtnl.Route, error) {
	question := make([]byte, unix.SizeofRtMsg)
	found, err := askNetlink(unix.NETLINK_ROUTE, unix.RTM_GETROUTE, unix.NLM_F_DUMP, question)
	if err != nil {
		return nil, fmt.Errorf("the list of routes: %w", err)
	}
	var list []rtnl.Route
	for _, m := range found {
		if route, ok := rtnl.ReadRoute(m.Body); ok {
			list = append(list, route)
		}
	}
	return list, nil
}
