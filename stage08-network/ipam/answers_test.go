package ipam

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage08-network/dns"
)

// A name leads to the addresses of all that have it, of both families, and an address to one name.
func TestAnswer(t *testing.T) {
	addr, v6 := netip.MustParseAddr, netip.MustParseAddr("fd00::2")
	n := &Network{Name: "Net"}
	list := []Lease{
		{Addr: addr("10.9.8.2"), Addr6: v6, ID: "0123456789abcdef", Names: []string{"web", "shared"}},
		{Addr: addr("10.9.8.3"), ID: "fedcba9876543210", Names: []string{"db", "shared"}},
	}
	for name, want := range map[string]dns.Records{
		"web":                             {Addrs: []netip.Addr{addr("10.9.8.2"), v6}},
		"web.net":                         {Addrs: []netip.Addr{addr("10.9.8.2"), v6}},
		"fedcba987654":                    {Addrs: []netip.Addr{addr("10.9.8.3")}},
		"shared":                          {Addrs: []netip.Addr{addr("10.9.8.2"), v6, addr("10.9.8.3")}},
		dns.ReverseName(addr("10.9.8.3")): {Names: []string{"db.Net"}},
		dns.ReverseName(v6):               {Names: []string{"web.Net"}},
		dns.ReverseName(addr("10.9.8.4")): {},
		"other":                           {},
	} {
		var found dns.Records
		n.Answer(list, name, &found)
		require.Equal(t, want, found, name)
	}
}
