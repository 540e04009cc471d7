package netflags

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage08-network/ipam"
)

func TestNewNetwork(t *testing.T) {
	n, subnet, err := (&CreateOptions{Name: "red"}).NewNetwork()
	require.NoError(t, err)
	require.False(t, subnet.IsValid())
	require.Equal(t, "red", n.Name)
	require.False(t, n.Gateway.IsValid(), "chosen with the subnet")

	o := CreateOptions{Name: "red", Subnet: "10.77.1.0/24", Internal: true, Label: []string{"a=b"}, Gateway: "10.77.1.254", IPRange: "10.77.1.128/25"}
	n, subnet, err = o.NewNetwork()
	require.NoError(t, err)
	require.Equal(t, netip.MustParsePrefix("10.77.1.0/24"), subnet)
	require.True(t, n.Internal)
	require.Equal(t, map[string]string{"a": "b"}, n.Labels)
	require.Equal(t, netip.MustParseAddr("10.77.1.254"), n.Gateway)
	for says, wrong := range map[string]CreateOptions{"--subnet": {Subnet: "x"}, "--gateway": {Subnet: "10.77.1.0/24", Gateway: "10.77.2.1"}, "--ip-range": {IPRange: "10.77.1.0/25"}} {
		_, _, err = wrong.NewNetwork()
		require.ErrorContains(t, err, says)
	}
	_, _, err = (&CreateOptions{Label: []string{"=b"}}).NewNetwork()
	require.Error(t, err)
}

func TestConnectOptions(t *testing.T) {
	wish, err := (&ConnectOptions{}).Wish("red")
	require.NoError(t, err)
	require.Equal(t, ipam.Wish{Network: "red"}, wish)
	wish, err = (&ConnectOptions{IP: "10.77.1.9", MAC: "02:42:0a:00:00:09", Alias: []string{"db"}}).Wish("red")
	require.NoError(t, err)
	require.Equal(t, ipam.Wish{Network: "red", Aliases: []string{"db"}, IP: netip.MustParseAddr("10.77.1.9"), MAC: net.HardwareAddr{2, 0x42, 10, 0, 0, 9}}, wish)
	for says, wrong := range map[string]ConnectOptions{"--ip": {IP: "x"}, "--mac-address": {MAC: "x"}, "--alias": {Alias: []string{"a b"}}} {
		_, err = wrong.Wish("red")
		require.ErrorContains(t, err, says)
	}
}
