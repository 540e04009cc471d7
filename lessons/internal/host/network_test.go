package host

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestLinks(t *testing.T) {
	h := made(map[string]string{"/proc/sys/kernel/osrelease": "6.1", "/lib/modules/6.1/x": ""}).root()
	look := link("veth")
	require.Equal(t, Silent, look(h).State)
	h.AsRoot = Outcomes{"veth": {Call: "RTM_NEWLINK veth", Errno: unix.EOPNOTSUPP}, "nftables": {Call: "NFT", Errno: unix.ENOENT}}
	require.Equal(t, []string{"modprobe veth"}, look(h).Mend)
	require.Equal(t, []string{"modprobe -a nft_masq nft_chain_nat"}, nfTables(h).Mend)
	h.AsRoot = Outcomes{"veth": eperm, "nftables": eperm}
	require.Equal(t, "veth: operation not permitted", look(h).Text)
	require.Equal(t, "nf_tables: operation not permitted", nfTables(h).Text)
}

func TestForwarding(t *testing.T) {
	const file = "/proc/sys/net/ipv4/ip_forward"
	h := made(map[string]string{file: "0\n"})
	require.Equal(t, Silent, forwarding(h).State)
	require.Equal(t, OK, forwarding(h.root()).State)
	h.Writes = denied(unix.EROFS, "/proc/sys")
	require.Equal(t, []string{"sysctl -w net.ipv4.ip_forward=1"}, forwarding(h).Mend)
	require.Equal(t, OK, forwarding(h.with(map[string]string{file: "1\n"})).State)
}

func TestFirewall(t *testing.T) {
	for want, c := range map[string]struct {
		files map[string]string
		drops []string
	}{
		"no chain drops": {},
		"ufw drops": {files: map[string]string{"/etc/ufw/ufw.conf": "ENABLED=yes\n",
			"/etc/default/ufw": "# x\nDEFAULT_FORWARD_POLICY=\"DROP\"\n"}},
		"firewalld rejects":                       {files: map[string]string{"/run/firewalld/x": ""}},
		"Docker has chain ip filter FORWARD drop": {files: map[string]string{"/sys/class/net/docker0/x": ""}, drops: []string{"ip filter FORWARD"}},
		"chain inet wall fwd drops":               {drops: []string{"inet wall fwd"}},
	} {
		h := made(c.files).root()
		h.Drops = c.drops
		require.Contains(t, firewall(h).Text, want)
	}
	off := made(map[string]string{"/etc/ufw/ufw.conf": "ENABLED=no\n"}).root()
	require.Equal(t, OK, firewall(off).State)
}

func TestIPv6(t *testing.T) {
	require.Equal(t, "IPv4 only", ipv6(made(nil)).Brief)
	require.Empty(t, ipv6(made(map[string]string{"/proc/net/if_inet6": "x"})).Brief)
	require.Equal(t, "IPv4 only", ipv6(made(map[string]string{"/proc/net/if_inet6": "x", "/proc/sys/net/ipv6/conf/all/disable_ipv6": "1"})).Brief)
}

func TestUserNetwork(t *testing.T) {
	h := made(map[string]string{"/etc/os-release": "ID=arch"})
	require.Equal(t, []string{"sudo pacman -S passt"}, userNetwork(h).Mend)
	require.Contains(t, userNetwork(h.with(map[string]string{"/usr/bin/slirp4netns": ""})).Text, "needs /dev/net/tun")
	require.Equal(t, "slirp4netns", userNetwork(h.with(map[string]string{"/dev/net/tun": ""})).Brief)
}
