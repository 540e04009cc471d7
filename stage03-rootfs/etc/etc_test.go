package etc

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHosts(t *testing.T) {
	require.Equal(t, "box", HostNames("box"))
	require.Equal(t, "box.example.org box", HostNames("box.example.org"))

	require.Equal(t, localhost, Hosts("box"))
	text := Hosts("box box.example.org", "172.17.0.2", "fd00::2")
	require.Equal(t, "172.17.0.2\tbox box.example.org\nfd00::2\tbox box.example.org\n", strings.TrimPrefix(text, localhost))
}

func TestParseHost(t *testing.T) {
	for spec, want := range map[string][2]string{
		"db=10.0.0.1": {"db", "10.0.0.1"}, "db:10.0.0.1": {"db", "10.0.0.1"},
		"db:fd00::1": {"db", "fd00::1"}, "db=[fd00::1]": {"db", "fd00::1"}, "db:[fd00::1]": {"db", "fd00::1"},
		"db": {"db", ""}, "": {"", ""}, "db=[x": {"db", "[x"},
	} {
		name, ip := ParseHost(spec)
		require.Equal(t, want, [2]string{name, ip}, spec)
	}
}

func TestHost(t *testing.T) {
	for spec, want := range map[string]string{"a:192.0.2.1": "a 192.0.2.1", "b=[2001:db8::1]": "b 2001:db8::1", "c:host-gateway": "c invalid IP"} {
		name, addr, err := Host(spec)
		require.NoError(t, err, spec)
		require.Equal(t, want, name+" "+addr.String())
	}
	for _, spec := range []string{"a", ":192.0.2.1", "a:x", "a b:192.0.2.1", "#:192.0.2.1"} {
		require.ErrorContains(t, CheckHosts([]string{"a:192.0.2.1", spec}), "--add-host "+spec+": give NAME:IP")
	}
}
