package main

import (
	"encoding/binary"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage08-network/attr"
	"stagebox/stage08-network/nft"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/rtnl"
)

func TestErrorsComeWithASentence(t *testing.T) {
	needs(t, "ip", "nsenter")
	if _, here := onOwnHost(t); !here {
		return
	}
	require.ErrorContains(t, sendNetlink(unix.NETLINK_ROUTE, linkUp("no-such-link")), "the kernel refuses RTM_NEWLINK: no such device")
	_, err := linkNamed("no-such-link")
	require.ErrorIs(t, err, unix.ENODEV)
	lo, err := linkNamed("lo")
	require.NoError(t, err)
	require.Equal(t, 1, lo.Index)

	// The second of three is refused, in the kernel's own words.
	err = sendNetlink(unix.NETLINK_ROUTE, linkUp("lo"), defaultRoute(netip.MustParseAddr("203.0.113.1")), linkUp("lo"))
	require.ErrorContains(t, err, "the kernel refuses RTM_NEWROUTE: ")
	require.ErrorContains(t, err, "(Nexthop has invalid gateway)")
	err = sendNat(natTable.AddElements([]nft.Element{{Set: "any4", Key: make([]byte, 8), Data: make([]byte, 8)}})...)
	require.ErrorContains(t, err, "the kernel refuses NFT_MSG_NEWSETELEM: no such file or directory")
}

// TestTheKernelsListsAreRead counts links and routes in a network of its own, where nobody
// else's come and go.
func TestTheKernelsListsAreRead(t *testing.T) {
	needs(t, "ip")
	if os.Getenv("BOX_NETWORK_HOST") != t.Name() {
		self := func(id int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: id, Size: 1}} }
		onceMore(t, &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
			UidMappings: self(os.Geteuid()), GidMappings: self(os.Getegid())})
		return
	}
	sh(t, `ip link set lo up; ip link add ours type veth peer name theirs; ip link set theirs up; ip link set ours up
ip addr add 198.18.0.1/30 dev ours; ip addr add 2001:db8::1/64 dev ours nodad; ip route add default via 198.18.0.2`)
	lines := func(command string) int { return strings.Count(sh(t, "{ "+command+"; } 2>/dev/null"), "\n") }
	links, err := hostLinks()
	require.NoError(t, err)
	require.Len(t, links, lines("ip -o link"))
	require.Len(t, links, 3)
	require.Eventually(t, func() bool { // those of link-local addresses come by themselves
		var routes []rtnl.Route
		routes, err = hostRoutes()
		return err != nil || len(routes) > 3 && len(routes) == lines("ip -4 -o route show table all; ip -6 -o route show table all")
	}, time.Minute, time.Millisecond)
	require.NoError(t, err)
}

func TestOrdinaryUserIsToldWhoMay(t *testing.T) {
	if _, _, err := nat.Find(); err != nil {
		require.ErrorContains(t, err, "only root may change the host's network")
	}
}

func FuzzNetlink(f *testing.F) {
	data, _ := pack([]nlMessage{linkUp("lo"), newAddress("lo", 1, netip.MustParseAddr("::1"), 128), defaultRoute(netip.MustParseAddr("10.0.0.1"))})
	f.Add(data)
	f.Add([]byte{})
	f.Add([]byte{16, 0, 0, 0, 2, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Add(append([]byte{36, 0, 0, 0, 2, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0}, 0, 0, 0, 128, 255, 255, 255, 255, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	f.Add([]byte{255, 255, 255, 255, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		attr.ReadAck(data)
		total := 0
		for m := range attr.Replies(data) {
			total += nlHeader + len(m.Body)
			rtnl.ReadLink(m.Body)
			rtnl.ReadRoute(m.Body)
			for kind, value := range attr.List(m.Body, 4) {
				require.Zero(t, kind&unix.NLA_F_NESTED)
				portmap.Text(nft.Element{Set: "on4", Key: value, Data: value})
				nft.Comment(value)
			}
		}
		require.LessOrEqual(t, total, len(data))
	})
}

func TestAttributesAreFilledUp(t *testing.T) {
	b := nlBody{}.str(1, "", "abc").str(2, "", "abcd").u32(3, "", 7, "")
	require.Zero(t, len(b.data)%4)
	attrs := attr.Map(b.data, 0)
	require.Equal(t, "abcd", attr.Text(attrs[2]))
	require.Equal(t, 7, attr.Number(binary.NativeEndian, attrs[3]))
	require.Zero(t, attr.Number(binary.NativeEndian, attrs[9]))
}
