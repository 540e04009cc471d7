package netflags

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage08-network/ipam"
)

// container is one that is described but for its network.
func container() *api.Container {
	return &api.Container{ID: strings.Repeat("0123456789abcdef", 4), Name: "/web",
		HostConfig:      api.HostConfig{PortBindings: map[string][]api.PortBinding{}},
		NetworkSettings: api.NetworkSettings{Ports: map[string][]api.PortBinding{}}}
}

func TestDescribeNetworks(t *testing.T) {
	idOf := func(name string) string { return "id of " + name }
	d := container()
	list, err := (&Options{Network: ipam.Names{"container:db"}}).DescribeNetworks(d, false, idOf)
	require.NoError(t, err)
	require.Empty(t, list)
	require.Equal(t, "container:id of db", d.HostConfig.NetworkMode)
	require.Empty(t, d.NetworkSettings.Networks)
	require.NoError(t, DescribeConnection(d, ipam.Dir{}, list, 1, nil))
	require.Equal(t, "", d.NetworkSettings.SandboxKey)

	d = container()
	o := Options{Network: ipam.Names{"name=red,alias=db", "blue"}, Publish: []string{"8080:80"}}
	list, err = o.DescribeNetworks(d, false, nil)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "red", d.HostConfig.NetworkMode)
	require.Equal(t, map[string]*api.Endpoint{"red": {Aliases: []string{"db"}}, "blue": {}}, d.NetworkSettings.Networks)
	require.Contains(t, d.HostConfig.PortBindings, "80/tcp")
	for _, wrong := range []Options{{Network: ipam.Names{"wrong="}}, {Publish: []string{"x"}}} {
		_, err = wrong.DescribeNetworks(container(), false, nil)
		require.Error(t, err)
	}
	d = container()
	_, err = (&Options{}).DescribeNetworks(d, true, nil)
	require.NoError(t, err)
	require.Equal(t, "host", d.HostConfig.NetworkMode)
}

// TestDescribeConnection describes a container that has a lease on the default network, and none on
// another.
func TestDescribeConnection(t *testing.T) {
	dir, d := ipam.Dir{Path: t.TempDir()}, container()
	n := &ipam.Network{Name: ipam.Default, Bridge: "box-0"}
	require.NoError(t, dir.Add(n, false, func([]*ipam.Network) error {
		n.Subnet, n.Gateway = netip.MustParsePrefix("10.9.8.0/29"), netip.MustParseAddr("10.9.8.1")
		return nil
	}))
	l := ipam.Lease{ID: d.ID, Keeper: ipam.Keeper(os.Getpid()), Names: []string{"web"}}
	held, err := dir.Acquire(n, &l, netip.Addr{}, false, func([]ipam.Lease) error { return nil })
	require.NoError(t, err)
	defer held.Close()

	d.NetworkSettings.Networks = map[string]*api.Endpoint{ipam.Default: {}, "none-such": {}}
	d.Config.ExposedPorts = api.Set(d.Config.ExposedPorts, "53/udp")
	list := []ipam.Wish{{Network: ipam.Default, Aliases: []string{"db"}}, {Network: "none-such"}}
	require.NoError(t, DescribeConnection(d, dir, list, 42, []string{"0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"}))
	s := d.NetworkSettings
	require.Equal(t, "/proc/42/ns/net", s.SandboxKey)
	require.Equal(t, map[string][]api.PortBinding{"53/udp": nil, "80/tcp": {{HostIP: "0.0.0.0", HostPort: "8080"}, {HostIP: "::", HostPort: "8080"}}}, s.Ports)
	require.Equal(t, "10.9.8.2", s.IPAddress)
	e := s.Networks[ipam.Default]
	require.Equal(t, []string{"db"}, e.Aliases)
	require.Equal(t, []string{"web", "0123456789ab"}, e.DNSNames)
	require.Equal(t, &api.Endpoint{}, s.Networks["none-such"])
}
