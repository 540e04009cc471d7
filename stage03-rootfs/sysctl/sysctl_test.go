package sysctl

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	s, err := Parse("net.ipv4.ping_group_range=0 0", unix.CLONE_NEWNET)
	require.NoError(t, err)
	require.Equal(t, Setting{"net.ipv4.ping_group_range", "/proc/sys/net/ipv4/ping_group_range", "0 0"}, s)
	_, err = Parse("kernel.shmmax=", unix.CLONE_NEWIPC)
	require.NoError(t, err, "an empty value is the kernel's to refuse")

	for spec, says := range map[string]string{
		"net.ipv4.ip_forward":     "give NAME=VALUE",
		"=1":                      "give NAME=VALUE",
		"net.../../x=1":           "give NAME=VALUE",
		"net.//.kernel.x=1":       "give NAME=VALUE",
		"net/../kernel/x=1":       "give NAME=VALUE",
		"/net/ipv4/ip_forward=1":  "give NAME=VALUE",
		"kernel/hostname=x":       "is the whole host's",
		"kernel.hostname=x":       "is the whole host's",
		"fs.mqueue.queues_max=16": "shares this namespace",
	} {
		_, err := Parse(spec, unix.CLONE_NEWNET)
		require.ErrorContains(t, err, "--sysctl "+spec, spec)
		require.ErrorContains(t, err, says, spec)
	}
	require.ErrorContains(t, Check([]string{"kernel.hostname=x"}), "is the whole host's")
	require.NoError(t, Check([]string{"fs.mqueue.queues_max=16", "net.ipv4.ip_forward=1"}))
}

// TestNames: both ways to write a setting, as sysctl.d(5) has them.
func TestNames(t *testing.T) {
	for name, want := range map[string][2]string{
		"net.ipv4.ip_forward":                 {"net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"},
		"net/ipv4/ip_forward":                 {"net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"},
		"net.ipv4.conf.enp3s0/200.forwarding": {"net.ipv4.conf.enp3s0/200.forwarding", "/proc/sys/net/ipv4/conf/enp3s0.200/forwarding"},
		"net/ipv4/conf/enp3s0.200/forwarding": {"net.ipv4.conf.enp3s0/200.forwarding", "/proc/sys/net/ipv4/conf/enp3s0.200/forwarding"},
	} {
		dotted, file := Names(name)
		require.Equal(t, want, [2]string{dotted, file})
	}
}
