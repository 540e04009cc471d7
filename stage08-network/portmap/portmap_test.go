package portmap

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/api"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func text(list []Mapping) string {
	var words []string
	for _, m := range list {
		words = append(words, m.Published(false)...)
	}
	return fmt.Sprint(words)
}

// One line a family, IPv4 first, as scripts parse what docker ps and docker port print.
func TestPublished(t *testing.T) {
	for spec, want := range map[string]string{
		"8080:80":           "[0.0.0.0:8080->80/tcp [::]:8080->80/tcp]",
		"127.0.0.1:8080:80": "[127.0.0.1:8080->80/tcp]",
		"[::1]:8080:80/udp": "[[::1]:8080->80/udp]",
		"192.0.2.1:8080:80": "[192.0.2.1:8080->80/tcp]",
		"0.0.0.0:8080:80":   "[0.0.0.0:8080->80/tcp]",
		"[::]:8080:80":      "[[::]:8080->80/tcp]",
	} {
		list, err := parse(spec)
		require.NoError(t, err)
		require.Equal(t, want, fmt.Sprint(list[0].Published(true)))
	}
	port, binding := Split("[::1]:8080->80/udp")
	require.Equal(t, "80/udp", port)
	require.Equal(t, api.PortBinding{HostIP: "::1", HostPort: "8080"}, binding)
	require.Equal(t, api.PortBinding{}, Mapping{}.Binding())
}

func TestPublishIsParsed(t *testing.T) {
	for spec, want := range map[string]string{
		"80":                        "[0.0.0.0:0->80/tcp]",
		"8080:80":                   "[0.0.0.0:8080->80/tcp]",
		"8080:80/udp":               "[0.0.0.0:8080->80/udp]",
		"127.0.0.1:8080:80":         "[127.0.0.1:8080->80/tcp]",
		"127.0.0.1::80":             "[127.0.0.1:0->80/tcp]",
		"0.0.0.0:8080:80":           "[0.0.0.0:8080->80/tcp]",
		"[::1]:8080:80":             "[[::1]:8080->80/tcp]",
		"::1:8080:80":               "[[::1]:8080->80/tcp]",
		"8000-8002:80-82":           "[0.0.0.0:8000->80/tcp 0.0.0.0:8001->81/tcp 0.0.0.0:8002->82/tcp]",
		"80-81/udp":                 "[0.0.0.0:0->80/udp 0.0.0.0:0->81/udp]",
		"[::ffff:192.0.2.1]:8:9":    "[192.0.2.1:8->9/tcp]",
		"x":                         `"x" is not a port`,
		"8080:":                     `"" is not a port`,
		"0:80":                      "[0.0.0.0:0->80/tcp]",
		"65536:80":                  `"65536" is not a port`,
		"80:0":                      `"0" is not a port`,
		"8000-8002:80":              "3 ports of the host cannot map to 1 of the container",
		"80:80/sctp":                `"sctp" is not a protocol: there are tcp and udp`,
		"nohost:8080:80":            `"nohost" is not an address of the host`,
		"1-60000:1-60000":           "are more than 1024 ports",
		"[fe80::1%eth0]:8080:80":    "is not an address of the host",
		"8080:80/tcp/udp":           `"tcp/udp" is not a protocol`,
		"127.0.0.1:8080:80:90":      "is not an address",
		strings.Repeat("9", 100):    "is not a port",
		"8080:90-80":                `"90-80" is not a port`,
		"192.0.2.1:9000-9001:90-91": "[192.0.2.1:9000->90/tcp 192.0.2.1:9001->91/tcp]",
	} {
		list, err := parse(spec)
		if err != nil {
			require.Contains(t, err.Error(), want, spec)
			continue
		}
		require.Equal(t, want, text(list), spec)
	}
}

// The last port is no trouble, and all values together are no more than Most.
func TestManyPorts(t *testing.T) {
	list, err := Parse([]string{"65535:65535", "1-2/udp"})
	require.NoError(t, err)
	require.Equal(t, "[0.0.0.0:65535->65535/tcp 0.0.0.0:0->1/udp 0.0.0.0:0->2/udp]", text(list))
	require.Equal(t, ":65535", list[0].Address())
	_, err = Parse([]string{"1-1000", "1001-1025"})
	require.EqualError(t, err, "--publish: 1025 ports are more than 1024")
	_, err = Parse([]string{"x"})
	require.ErrorContains(t, err, `--publish x: "x" is not a port`)
}

func FuzzPublish(f *testing.F) {
	for _, spec := range []string{"80", "8080:80/udp", "[::1]:1-3:4-6", "127.0.0.1::80", ":::", "-", "1-65535"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		list, err := parse(spec)
		if err == nil {
			require.NotEmpty(t, list)
			require.LessOrEqual(t, len(list), Most)
		}
		for _, m := range list {
			require.NotZero(t, m.Container)
		}
	})
}

func TestElementsOfMaps(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")
	for spec, want := range map[string][2]string{
		"8080:80":             {"any4 tcp . 8080 : 10.0.0.2 . 80", "any6 tcp . 8080 : fd00::2 . 80"},
		"127.0.0.1:81:81/udp": {"on4 127.0.0.1 . udp . 81 : 10.0.0.2 . 81", ""},
		"[2001:db8::1]:9:9":   {"", "on6 2001:db8::1 . tcp . 9 : fd00::2 . 9"},
		"[::1]:9:9":           {"", ""},
		"0.0.0.0:8080:80":     {"any4 tcp . 8080 : 10.0.0.2 . 80", ""},
		"[::]:8080:80":        {"", "any6 tcp . 8080 : fd00::2 . 80"},
	} {
		list, err := Parse([]string{spec})
		require.NoError(t, err)
		for i, to := range []netip.Addr{v4, v6} {
			e, ok := list[0].Element(to, "who")
			require.Equal(t, want[i] != "", ok, spec)
			if ok {
				require.Equal(t, want[i], e.Set+" "+e.Text)
				require.Equal(t, "who", e.Comment)
			}
		}
		_, ok := list[0].Element(netip.Addr{}, "")
		require.False(t, ok, "a container without an address of this family")
	}
}

func FuzzElement(f *testing.F) {
	for _, spec := range []string{"80", "8080:80/udp", "[::1]:1-3:4-6", "127.0.0.1::80"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		list, _ := Parse([]string{spec})
		for _, m := range list {
			m.Element(netip.MustParseAddr("10.0.0.2"), "x")
			m.Element(netip.MustParseAddr("fd00::2"), "x")
		}
	})
}

func TestAllOfAContainer(t *testing.T) {
	list, err := Parse([]string{"8080:80", "127.0.0.1:53:53/udp", "[::1]:81:81"})
	require.NoError(t, err)
	require.Equal(t, []string{"0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp", "127.0.0.1:53->53/udp", "[::1]:81->81/tcp"}, Published(list, true))
	var families [][]string
	for _, m := range list {
		families = append(families, m.families(true))
	}
	require.Equal(t, [][]string{{"4", "6"}, {"4"}, {"6"}}, families)
	require.Equal(t, []string{"4"}, list[0].families(false))
	var sets []string
	for _, e := range Elements(list, "id", netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")) {
		require.Equal(t, "id", e.Comment)
		sets = append(sets, e.Set)
	}
	require.Equal(t, []string{"any4", "any6", "on4"}, sets)
	require.Len(t, Elements(list, "id", netip.MustParseAddr("10.0.0.2"), netip.Addr{}), 2)
}
