package portmap

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage08-network/proxy"
)

func TestListen(t *testing.T) {
	target, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer target.Close()
	loopback := netip.MustParseAddr("127.0.0.1")
	m := Mapping{Protocol: "tcp", IP: loopback, Container: 80}
	list, err := m.Listen(true, func() string { return target.Addr().String() })
	require.NoError(t, err)
	defer proxy.CloseAll(list)
	require.Len(t, list, 1, "its address is of one family")
	require.Equal(t, list[0].Port(), m.Host, "the mapping has the port that was chosen")

	go list[0].Serve()
	client, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", m.Host))
	require.NoError(t, err)
	defer client.Close()
	server, err := target.Accept()
	require.NoError(t, err)
	_, err = server.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, server.Close())
	answer, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "hello", string(answer))

	again := Mapping{Protocol: "tcp", IP: loopback, Host: m.Host, Container: 80}
	taken, err := again.Listen(true, nil)
	require.ErrorIs(t, err, unix.EADDRINUSE)
	require.Empty(t, taken)
	require.Equal(t, m.Host, again.Host, "another is not chosen")
	proxy.CloseAll(list)
	list, err = again.Listen(true, nil)
	require.NoError(t, err, "it was given back")
	proxy.CloseAll(list)
}

// TestListenForBoth has IPv6's half of a port taken: what was opened of IPv4 is given back.
func TestListenForBoth(t *testing.T) {
	first := Mapping{Protocol: "udp", Container: 53}
	both, err := first.Listen(true, nil)
	if err != nil {
		t.Skip("this host has no IPv6: ", err)
	}
	defer proxy.CloseAll(both)
	require.Len(t, both, 2)
	require.Equal(t, []uint16{first.Host, first.Host}, []uint16{both[0].Port(), both[1].Port()})

	require.NoError(t, both[0].Close())
	m := first
	_, err = m.Listen(true, nil)
	require.ErrorIs(t, err, unix.EADDRINUSE)
	four, err := m.Listen(false, nil)
	require.NoError(t, err, "IPv4's half is free")
	require.Len(t, four, 1)
	proxy.CloseAll(four)
	m.Host = 0
	others, err := m.Listen(true, nil)
	require.NoError(t, err)
	defer proxy.CloseAll(others)
	require.NotEqual(t, first.Host, m.Host)
}
