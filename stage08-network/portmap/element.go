package portmap

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/nft"
)

// Element is the map element that publishes the port, to an address of a container: of the map
// any4 or any6, by protocol and port, or of on4 or on6 where the host's address counts too. ok is
// false if the host's address is not of the container's family, and for ::1, whose packets do not
// leave the host's loopback.
func (m Mapping) Element(to netip.Addr, comment string) (e nft.Element, ok bool) {
	family, proto := "4", byte(unix.IPPROTO_TCP)
	if m.Protocol == "udp" {
		proto = unix.IPPROTO_UDP
	}
	if to.Is6() {
		family = "6"
	}
	e = nft.Element{Set: "any" + family, Key: nft.Concat([]byte{proto}, portBytes(m.Host)),
		Data: nft.Concat(to.AsSlice(), portBytes(m.Container)), Comment: comment,
		Text: fmt.Sprintf("%s . %d : %s . %d", m.Protocol, m.Host, to, m.Container)}
	if m.IP.IsValid() && !m.IP.IsUnspecified() {
		e.Set, e.Key = "on"+family, nft.Concat(m.IP.AsSlice(), e.Key)
		e.Text = m.IP.String() + " . " + e.Text
	}
	same := !m.IP.IsValid() || m.IP.Is6() == to.Is6() && m.IP != netip.IPv6Loopback()
	return e, to.IsValid() && same
}

func portBytes(port uint16) []byte { return binary.BigEndian.AppendUint16(nil, port) }

// Text is an element of a map of published ports, for people: tcp *:8080 -> 80. It is "" for one of
// IPv6 that is published on every address: IPv4 has the same one.
func Text(e nft.Element) string {
	on, key := "*", e.Key
	if e.Set == "on4" && len(key) == 12 || e.Set == "on6" && len(key) == 24 {
		addr, _ := netip.AddrFromSlice(key[:len(key)-8])
		on, key = addr.String(), key[len(key)-8:]
	}
	if e.Set == "any6" || len(key) != 8 || len(e.Data) < 8 {
		return ""
	}
	proto := map[byte]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp"}[key[0]]
	return fmt.Sprintf("%s %s:%d -> %d", proto, on, binary.BigEndian.Uint16(key[4:]),
		binary.BigEndian.Uint16(e.Data[len(e.Data)-4:]))
}

// Texts returns the Text of each element with this comment, which names a container.
func Texts(list []nft.Element, comment string) (texts []string) {
	for _, e := range list {
		if text := Text(e); e.Comment == comment && text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// Elements returns the map elements of all mappings to the addresses of one container. Its IPv4 or
// IPv6 address may be invalid, for none.
func Elements(list []Mapping, comment string, to ...netip.Addr) (elements []nft.Element) {
	for _, m := range list {
		for _, addr := range to {
			if e, ok := m.Element(addr, comment); ok {
				elements = append(elements, e)
			}
		}
	}
	return elements
}
