package netflags

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage03-rootfs/etc"
	"stagebox/stage04-unionfs/api"
	"stagebox/stage08-network/ipam"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestNetworks(t *testing.T) {
	bridge := "default" // an ordinary user's own
	if os.Geteuid() == 0 {
		bridge = ipam.Default
	}
	for want, network := range map[string]ipam.Names{"": nil, "host": {"host"}, "red": {"name=red,alias=db", "blue"}} {
		require.Equal(t, want, (&Options{Network: network}).First())
	}
	require.Empty(t, (&Options{Network: ipam.Names{"wrong="}}).First())
	both := Options{Network: ipam.Names{"name=red,alias=db", "blue"}, NetworkAlias: []string{"web"}}
	require.Equal(t, []string{"red", "blue"}, both.Networks(false))
	list, err := both.Wishes()
	require.NoError(t, err)
	require.Equal(t, []string{"db", "web"}, list[0].Aliases)
	require.Equal(t, []string{"none"}, (&Options{}).Networks(false))
	require.Equal(t, []string{"host"}, (&Options{}).Networks(true))
	require.Equal(t, []string{bridge}, (&Options{PublishAll: true}).Networks(false))
	require.Equal(t, []string{bridge}, (&Options{Link: []string{"db"}}).Networks(false))
	require.Nil(t, both.Networks(true), "--share net and a network of its own")
	require.Nil(t, (&Options{Network: ipam.Names{"wrong="}}).Networks(false))
}

func TestPorts(t *testing.T) {
	o := Options{Publish: []string{"8080:80"}}
	list, err := o.Ports([]string{"53/udp"})
	require.NoError(t, err)
	require.Len(t, list, 1)
	o.PublishAll = true
	list, err = o.Ports([]string{"53/udp"})
	require.NoError(t, err)
	require.Equal(t, []string{"80/tcp", "53/udp"}, []string{list[0].Port(), list[1].Port()})
	require.Equal(t, []string{"8080:80"}, o.Publish)
	o.Expose = []string{"53/udp", "90-91", "80"} // of which the image has one, and --publish another
	list, err = o.Ports([]string{"53/udp", "80/tcp"})
	require.NoError(t, err)
	var ports []string
	for _, m := range list {
		ports = append(ports, m.Port())
	}
	require.Equal(t, []string{"80/tcp", "53/udp", "90/tcp", "91/tcp"}, ports)
	_, err = (&Options{Expose: []string{"x"}}).Ports(nil)
	require.ErrorContains(t, err, "--expose x: give a port")
	_, err = (&Options{Publish: []string{"x"}}).Ports(nil)
	require.Error(t, err)
}

func TestOfItsOwn(t *testing.T) {
	for flag, given := range (&Options{}).OfItsOwn() {
		require.False(t, given, flag)
	}
	all := Options{Publish: []string{"80"}, PublishAll: true, DNS: []string{"1.1.1.1"}, DNSSearch: []string{"."}, DNSOption: []string{"ndots:2"}, AddHost: []string{"a:::1"}, Expose: []string{"80"}, Link: []string{"db"}}
	require.Len(t, all.OfItsOwn(), 8)
	for flag, given := range all.OfItsOwn() {
		require.True(t, given, flag)
	}
}

func TestLinks(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	o := Options{Link: []string{"db:Data", "/web", id + ":x"}}
	links, err := o.Links("red")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"data": "db", "web": "web", "x": "0123456789ab"}, links)
	_, err = o.Links("none")
	require.ErrorContains(t, err, "--network none")
	for _, wrong := range []string{"", ":", "db:", ":x", "a b:c", "db:a:b"} {
		_, err := (&Options{Link: []string{wrong}}).Links("red")
		require.ErrorContains(t, err, "--link "+wrong, wrong)
	}
}

func TestResolvConf(t *testing.T) {
	conf, servers, err := (&Options{DNS: []string{"1.1.1.1"}, DNSSearch: []string{"example.com"}}).ResolvConf()
	require.NoError(t, err)
	require.Contains(t, conf, "search example.com\n")
	require.Equal(t, []netip.Addr{netip.MustParseAddr("1.1.1.1")}, servers)
	for _, o := range []Options{{DNS: []string{"x"}}, {DNSSearch: []string{"a b"}}, {DNSOption: []string{"a b"}}} {
		_, _, err := o.ResolvConf()
		require.ErrorContains(t, err, "--dns")
	}
}

func TestDescribe(t *testing.T) {
	d := api.Container{HostConfig: api.HostConfig{PortBindings: map[string][]api.PortBinding{}}}
	o := Options{Publish: []string{"127.0.0.1:8080:80"}, PublishAll: true, DNS: []string{"1.1.1.1"}, AddHost: []string{"db=10.0.0.1"}, DNSSearch: []string{"."}, DNSOption: []string{"ndots:2"}}
	require.NoError(t, o.Describe(&d))
	require.Equal(t, map[string][]api.PortBinding{"80/tcp": {{HostIP: "127.0.0.1", HostPort: "8080"}}}, d.HostConfig.PortBindings)
	require.Contains(t, d.Config.ExposedPorts, "80/tcp")
	require.True(t, d.HostConfig.PublishAllPorts)
	require.Equal(t, []string{"db:10.0.0.1"}, d.HostConfig.ExtraHosts)
	require.Equal(t, [][]string{{"1.1.1.1"}, {"."}, {"ndots:2"}}, [][]string{d.HostConfig.DNS, d.HostConfig.DNSSearch, d.HostConfig.DNSOptions})
}

func TestCheckBuild(t *testing.T) {
	for _, network := range []string{"", "none", "host", "default", "container:web", "red"} {
		require.NoError(t, CheckBuild(network, nil), network)
	}
	require.NoError(t, CheckBuild("red", []string{"db:10.0.0.1"}))
	require.EqualError(t, CheckBuild("container:web", []string{"db:10.0.0.1"}), "--add-host and --network container:web exclude one another")
	require.EqualError(t, CheckBuild("a/b", nil), "--network a/b: give none, host, container:NAME, or the name of a network")
	require.ErrorContains(t, CheckBuild("container:", nil), "--network container:: give bridge, none, host, container:NAME")
	require.Error(t, CheckBuild("", []string{"x"}))
}

func TestHosts(t *testing.T) {
	require.Equal(t, "web.example.org web box", HostNames("web", "example.org", "box"))
	require.Equal(t, "web", HostNames("web", "", "web"))

	gateway := func() (netip.Addr, error) { return netip.MustParseAddr("10.1.0.1"), nil }
	none := func() (netip.Addr, error) { return netip.Addr{}, errors.New("an ordinary user has no bridge") }
	own := []string{"10.1.0.2", "fd00::2"}
	for _, c := range []struct {
		o    Options
		own  []string
		want string // after the lines of loopback
	}{
		{Options{}, own, "10.1.0.2\tweb\nfd00::2\tweb\n"},
		{Options{}, nil, "127.0.1.1\tweb\n"},
		{Options{Network: []string{"none"}}, nil, ""},
		{Options{Network: []string{"host"}, AddHost: []string{"a:1.2.3.4"}}, nil, "1.2.3.4\ta\n"},
		{Options{AddHost: []string{"a=::1", "b:host-gateway"}}, own[:1], "10.1.0.2\tweb\n::1\ta\n10.1.0.1\tb\n"},
	} {
		text, err := c.o.Hosts("web", c.own, gateway)
		require.NoError(t, err)
		require.Equal(t, etc.Hosts("")+c.want, text)
	}
	hosts, err := os.ReadFile("/etc/hosts")
	require.NoError(t, err)
	text, err := (&Options{Network: []string{"host"}}).Hosts("web", nil, none)
	require.NoError(t, err)
	require.Equal(t, string(hosts), text, "the host's own")
	for spec, says := range map[string]string{"a:host-gateway": "--add-host a:host-gateway: an ordinary user has no bridge", "a": "--add-host a: give NAME:IP"} {
		_, err := (&Options{AddHost: []string{spec}}).Hosts("web", nil, none)
		require.ErrorContains(t, err, says)
	}
}
