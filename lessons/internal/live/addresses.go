// Addresses and routes of a network namespace, as the kernel prints them for processes in it:
// numbers of IPv4 in hexadecimal with the bytes as they lie in memory, so 0100A8C0 is
// 192.168.0.1 on x86-64 and arm64; those of IPv6 in their own order.
package live

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// route is one of IPv4; without a gateway, what it leads to is on that interface.
type route struct {
	by      string
	to      netip.Prefix
	gateway netip.Addr // not valid when there is none
}

// routes reads /proc/PID/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask …
func (r Roots) routes(pid string) (all []route) {
	for _, line := range r.lines(pid, "net/route") {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		to, ok := inet4(f[1])
		gateway, ok2 := inet4(f[2])
		mask, ok3 := inet4(f[7])
		if !ok || !ok2 || !ok3 {
			continue
		}
		route := route{by: f[0], to: netip.PrefixFrom(to, ones(mask))}
		if !gateway.IsUnspecified() {
			route.gateway = gateway
		}
		all = append(all, route)
	}
	return all
}

func inet4(text string) (netip.Addr, bool) {
	n, err := strconv.ParseUint(text, 16, 32)
	if err != nil || len(text) != 8 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(binary.NativeEndian.AppendUint32(nil, uint32(n)))), true
}

// ones counts the leading ones of a mask.
func ones(mask netip.Addr) int {
	n := 0
	for _, b := range mask.As4() {
		for ; b&0x80 != 0; b <<= 1 {
			n++
		}
	}
	return n
}

// addresses4 are the local ones in /proc/PID/net/fib_trie:
//
//	|-- 10.0.0.2
//	   /32 host LOCAL
func (r Roots) addresses4(pid string) (all []netip.Addr) {
	var last string
	for _, line := range r.lines(pid, "net/fib_trie") {
		line = strings.TrimSpace(line)
		if leaf, ok := strings.CutPrefix(line, "|-- "); ok {
			last = leaf
		}
		if line != "/32 host LOCAL" {
			continue
		}
		if address, err := netip.ParseAddr(last); err == nil && !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// addresses6 reads /proc/PID/net/if_inet6: the address, and in hexadecimal the interface's
// number, the length of the prefix, scope and flags; then its name.
func (r Roots) addresses6(pid string, links []Interface) {
	for _, line := range r.lines(pid, "net/if_inet6") {
		f := strings.Fields(line)
		if len(f) != 6 {
			continue
		}
		raw, err := hex.DecodeString(f[0])
		length, err2 := strconv.ParseUint(f[2], 16, 8)
		index, err3 := strconv.ParseUint(f[1], 16, 31)
		address, ok := netip.AddrFromSlice(raw)
		if err != nil || err2 != nil || err3 != nil || !ok {
			continue
		}
		for i := range links {
			if links[i].Name == f[5] {
				links[i].Index = int(index)
				links[i].Addresses = append(links[i].Addresses, fmt.Sprintf("%s/%d", address, length))
			}
		}
	}
}
