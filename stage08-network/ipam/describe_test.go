package ipam

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescribe(t *testing.T) {
	d, n, _ := newDir(t)
	l := Lease{ID: "0123456789abcdef", Keeper: Keeper(os.Getpid()), Names: []string{"web"}}
	held, err := d.Acquire(n, &l, netip.Addr{}, false, func([]Lease) error { return nil })
	require.NoError(t, err)
	defer held.Close()

	a, err := d.Describe(n)
	require.NoError(t, err)
	require.Len(t, a.ID, 64)
	require.Equal(t, "10.9.8.0/29", a.IPAM.Config[0].Subnet)
	member := a.Containers[l.ID]
	require.Equal(t, []string{"web", "10.9.8.2/29", "", "02:42:0a:09:08:02"},
		[]string{member.Name, member.IPv4Address, member.IPv6Address, member.MacAddress})
	e := d.Endpoint(n, l)
	require.Equal(t, a.ID, e.NetworkID)
	require.Equal(t, []string{"web", "0123456789ab"}, e.DNSNames)

	var table strings.Builder
	require.NoError(t, d.Write(&table, false))
	require.Regexp(t, `NAME +BRIDGE.*\nn +box-0 +10\.9\.8\.0/29 +- +1 +\n`, table.String())
	table.Reset()
	require.NoError(t, d.Write(&table, true))
	require.Equal(t, "n\n", table.String())
}

func TestPrintOnce(t *testing.T) {
	d, _, _ := newDir(t)
	var out strings.Builder
	for range 2 {
		require.NoError(t, d.PrintOnce(&out, "a note"))
	}
	require.NoError(t, d.PrintOnce(&out, "another"))
	require.Equal(t, "box: a note\nbox: another\n", out.String())
}
