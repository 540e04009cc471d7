package portmap

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage08-network/nft"
)

func TestElementsThatLeadToAContainer(t *testing.T) {
	addr, other := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")
	udp, ok := Mapping{Host: 53, Container: 53, Protocol: "udp"}.Element(addr, "")
	require.True(t, ok)
	tcp, ok := Mapping{Host: 53, Container: 53, Protocol: "tcp"}.Element(other, "")
	require.True(t, ok)
	list := []nft.Element{udp, tcp}
	require.True(t, IsUDP(udp))
	require.False(t, IsUDP(tcp))
	require.True(t, LeadsTo(list, addr))
	require.False(t, LeadsTo(list, other))
}

func TestSender(t *testing.T) {
	attribute := func(kind byte, data ...byte) []byte {
		all := append([]byte{byte(4 + len(data)), 0, kind, 0}, data...)
		return append(all, make([]byte, -len(all)&3)...)
	}
	ip, proto := attribute(ctaSource4, 10, 0, 0, 2), attribute(ctaNumber, unix.IPPROTO_UDP)
	from, number := Sender(append(attribute(ctaIP, ip...), attribute(ctaProto, proto...)...))
	require.Equal(t, netip.MustParseAddr("10.0.0.2"), from)
	require.EqualValues(t, unix.IPPROTO_UDP, number)
	from, number = Sender(nil)
	require.False(t, from.IsValid())
	require.Zero(t, number)
}
