package ipam

import (
	"net/netip"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"stagebox/stage08-network/rtnl"
)

func TestNamesFromJSON(t *testing.T) {
	for text, want := range map[string]Names{
		`["a","b"]`: {"a", "b"}, `"a"`: {"a"}, `""`: {}, `null`: nil,
	} {
		var got Names
		require.NoError(t, json.Unmarshal([]byte(text), &got), text)
		require.Equal(t, want, got, text)
	}
}

// The flags about one network are about the first.
func TestWishes(t *testing.T) {
	list, err := Names{"name=red,alias=a", "blue"}.Wishes("10.0.0.9", "", []string{"b"})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, Wish{Network: "red", Aliases: []string{"a", "b"}, IP: netip.MustParseAddr("10.0.0.9")}, list[0])
	require.Equal(t, Wish{Network: "blue"}, list[1])
	list, err = Names(nil).Wishes("", "", nil)
	require.NoError(t, err)
	require.Equal(t, []Wish{{}}, list)
	_, err = Names{"red"}.Wishes("x", "", nil)
	require.EqualError(t, err, "--ip x is not an IPv4 address")
	_, err = Names{"red"}.Wishes("", "", []string{"-"})
	require.ErrorContains(t, err, "--network-alias")
}

func TestMode(t *testing.T) {
	for _, c := range []struct {
		name              string
		shares, publishes bool
		mode, other, err  string
	}{
		{name: "", mode: "none"},
		{name: "none", mode: "none"},
		{name: "red", mode: "red"},
		{name: "container:web", mode: "container", other: "web"},
		{name: "container:", err: "--network container:: give bridge, none, host, container:NAME, or the name of a network"},
		{name: "x:y", err: "--network x:y: give bridge, none, host, container:NAME, or the name of a network"},
		{name: "", shares: true, mode: "host"},
		{name: "red", shares: true, err: "--network red and --share net exclude one another"},
	} {
		mode, other, err := Wish{Network: c.name}.Mode(c.shares, c.publishes)
		if c.err != "" {
			require.EqualError(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []string{c.mode, c.other}, []string{mode, other}, c.name)
	}
}

func TestCheckMode(t *testing.T) {
	require.EqualError(t, CheckMode("none", 1, []Wish{{Network: "none"}}), "--publish with --network none: there is no network of its own to publish from")
	require.EqualError(t, CheckMode("host", 1, []Wish{{}}), "--publish with --share net: there is no network of its own to publish from")
	require.ErrorContains(t, CheckMode("host", 0, []Wish{{Network: "host", Aliases: []string{"a"}}}), "need a network that box has made")
	require.EqualError(t, CheckMode("none", 0, []Wish{{Network: "none"}, {Network: "red"}}), "--network red: a container on none has no second network")
	require.NoError(t, CheckMode("none", 0, []Wish{{Network: "none"}}))
}

// The default route is no use of an address.
func TestInUse(t *testing.T) {
	uses := InUse([]*Network{{Name: "red", Subnet: netip.MustParsePrefix("10.1.0.0/16")}},
		[]rtnl.Route{{To: netip.MustParsePrefix("0.0.0.0/0")}, {To: netip.MustParsePrefix("10.2.3.4/16")}})
	require.Len(t, uses, 2)
	require.Equal(t, "10.1.0.0/16 of network red", uses[0].By)
	require.Equal(t, "the host's route to 10.2.0.0/16", uses[1].By)
}

func TestParseSubnet(t *testing.T) {
	subnet, err := ParseSubnet("10.1.0.0/16")
	require.NoError(t, err)
	require.Equal(t, netip.MustParsePrefix("10.1.0.0/16"), subnet)
	subnet, err = ParseSubnet("")
	require.NoError(t, err)
	require.False(t, subnet.IsValid())
	_, err = ParseSubnet("10.1.0.0")
	require.ErrorContains(t, err, "--subnet 10.1.0.0: give an address and how many of its bits")
}
