package forwarding

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestSettingsAreRemembered(t *testing.T) {
	const path, other = "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ip_default_ttl"
	value := func(path string) string {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(data[:len(data)-1])
	}
	require.True(t, Setting{Path: path, Value: value(path)}.IsSet())
	require.False(t, Setting{Path: path, Value: "7"}.IsSet())
	require.False(t, Setting{Path: path + "x", Value: "1"}.IsSet())

	file := filepath.Join(t.TempDir(), "settings")
	_, err := remembered(file)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, Remember(file, []Setting{{Path: path}}))
	require.NoError(t, Remember(file, []Setting{{Path: other}}))
	list, err := remembered(file)
	require.NoError(t, err)
	require.Equal(t, []Setting{{Path: other, Value: value(other)}, {Path: path, Value: value(path)}}, list)

	require.NoError(t, os.WriteFile(file, []byte("/etc/passwd x\n/proc/sys/net/../../../etc/passwd x\n"), 0o644))
	list, err = remembered(file)
	require.NoError(t, err)
	require.Empty(t, list)
}

// TestRestore writes the value that a setting has already: the file in /proc is the host's.
func TestRestore(t *testing.T) {
	const path = "/proc/sys/net/ipv4/ip_default_ttl"
	file := filepath.Join(t.TempDir(), "settings")
	never := func() (bool, error) { t.Fatal("nothing was kept"); return false, nil }
	quiet := func(err error) { t.Fatal(err) }
	require.NoError(t, Restore(file, never, quiet), "there is no file")

	full := errors.New("the kernel has no memory left")
	require.NoError(t, Remember(file, []Setting{{Path: path}}))
	require.ErrorIs(t, Restore(file, func() (bool, error) { return false, full }, quiet), full)
	require.FileExists(t, file)
	require.NoError(t, Restore(file, func() (bool, error) { return true, nil }, quiet))
	require.NoFileExists(t, file)

	gone := "/proc/sys/net/ipv4/conf/gone/forwarding 1\n"
	require.NoError(t, os.WriteFile(file, []byte(gone), 0o644))
	require.NoError(t, Restore(file, func() (bool, error) { return false, nil }, quiet), "its link is gone")
	require.NoFileExists(t, file)

	require.NoError(t, os.Mkdir(file, 0o755))
	var warned error
	require.NoError(t, Restore(file, never, func(err error) { warned = err }))
	require.Error(t, warned, "it is no file")
	require.NoDirExists(t, file)
}

func TestAdvice(t *testing.T) {
	require.Empty(t, Advice("b", nil))
	docker := Chain{unix.NFPROTO_IPV4, "filter", "FORWARD", unix.NF_INET_FORWARD, true}
	firewalld := Chain{unix.NFPROTO_INET, "firewalld", "filter_FORWARD", unix.NF_INET_FORWARD, false}
	own := Chain{unix.NFPROTO_INET, "mine", "fwd", unix.NF_INET_FORWARD, true}
	for _, c := range []Chain{docker, firewalld, own} {
		require.True(t, c.Blocks(), c)
	}
	for _, c := range []Chain{
		{unix.NFPROTO_IPV4, "filter", "MINE", unix.NF_INET_FORWARD, false},
		{unix.NFPROTO_IPV4, "filter", "INPUT", unix.NF_INET_LOCAL_IN, true},
		{unix.NFPROTO_BRIDGE, "filter", "FORWARD", unix.NF_INET_FORWARD, true},
	} {
		require.False(t, c.Blocks(), c)
	}
	text := Advice("b", []Chain{docker, firewalld})
	require.Contains(t, text, "(chain ip filter FORWARD, inet firewalld filter_FORWARD)")
	require.Contains(t, text, "as root: iptables -I FORWARD -i b -j ACCEPT; iptables -I FORWARD -o b -j ACCEPT (with")
	require.Contains(t, Advice("b", []Chain{firewalld}), "firewall-cmd --permanent --zone=trusted --add-interface=b; firewall-cmd --reload")
	require.Contains(t, Advice("b", []Chain{own}), "as root: nft insert rule inet mine fwd iifname b accept; nft insert rule inet mine fwd oifname b accept")
}

// What is missing is what the host does not have; a link that learns its routes comes before IPv6 is
// forwarded, which would end the learning.
func TestMissing(t *testing.T) {
	v4 := Setting{Path: "/proc/sys/net/ipv4/ip_forward", Value: "1"}
	v6 := Setting{Path: "/proc/sys/net/ipv6/conf/all/forwarding", Value: "1"}
	var want []string
	if !v4.IsSet() {
		want = append(want, v4.Path)
	}
	paths := func(v6 bool) (paths []string) {
		list, err := Missing(v6, func() ([]string, error) { return []string{"eth9"}, nil })
		require.NoError(t, err)
		for _, s := range list {
			paths = append(paths, s.Path)
		}
		return paths
	}
	require.Equal(t, want, paths(false))
	if !v6.IsSet() {
		want = append(want, "/proc/sys/net/ipv6/conf/eth9/accept_ra", v6.Path)
	}
	require.Equal(t, want, paths(true))
}
