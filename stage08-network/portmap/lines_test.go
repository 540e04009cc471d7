package portmap

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage08-network/nft"
)

func TestLines(t *testing.T) {
	published := []string{"0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp", "0.0.0.0:53->53/udp", "127.0.0.1:9->9/tcp"}
	require.Equal(t, []string{"9/tcp -> 127.0.0.1:9", "53/udp -> 0.0.0.0:53", "80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"},
		Lines(published, ""))
	require.Equal(t, []string{"0.0.0.0:8080", "[::]:8080"}, Lines(published, "80"))
	require.Equal(t, []string{"0.0.0.0:53"}, Lines(published, "53/udp"))
	require.Nil(t, Lines(published, "53"))
}

func TestTextOfElements(t *testing.T) {
	for spec, want := range map[string]string{"8080:80": "tcp *:8080 -> 80", "127.0.0.1:81:82/udp": "udp 127.0.0.1:81 -> 82"} {
		list, err := Parse([]string{spec})
		require.NoError(t, err)
		e, ok := list[0].Element(netip.MustParseAddr("10.0.0.2"), "")
		require.True(t, ok)
		require.Equal(t, want, Text(e))
	}
	for _, e := range []nft.Element{{}, {Set: "any6", Key: make([]byte, 8), Data: make([]byte, 20)}, {Set: "on4", Key: []byte{1}}} {
		require.Empty(t, Text(e))
	}
}
