package etc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHosts(t *testing.T) {
	require.Equal(t, "box", HostNames("box"))
	require.Equal(t, "box.example.org box", HostNames("box.example.org"))
	require.Equal(t, "box.example.org box", HostNames(FullName("box", "example.org")))
	require.Equal(t, "box", HostNames(FullName("box", "")))

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

// The file stays the one that is mounted, and keeps what others have written to it.
func TestRenumber(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	require.NoError(t, os.WriteFile(path, []byte(Hosts("box", "172.17.0.2", "fd00::2")+"172.17.0.22\tother\n192.0.2.1 mine"), 0o644))
	before, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, Renumber(path, "box b", []string{"172.17.0.2", "fd00::2"}, []string{"172.18.0.2"}))
	after, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, localhost+"172.17.0.22\tother\n192.0.2.1 mine\n172.18.0.2\tbox b\n", string(text))
	require.NoError(t, os.Truncate(path, maxHosts+1))
	require.ErrorContains(t, Renumber(path, "box", nil, nil), "larger than")
	require.ErrorIs(t, Renumber(path+"x", "box", nil, nil), os.ErrNotExist)
}
