package rtnl

import (
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// with adds an attribute to a body.
func with(body []byte, kind uint16, value ...byte) []byte {
	body = binary.NativeEndian.AppendUint16(body, uint16(4+len(value)))
	body = append(binary.NativeEndian.AppendUint16(body, kind), value...)
	return append(body, make([]byte, -len(body)&3)...)
}

func number(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func TestALinkIsRead(t *testing.T) {
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], 7)
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP)
	body = with(body, unix.IFLA_IFNAME, []byte("eth0\x00")...)
	body = with(body, unix.IFLA_ADDRESS, 2, 0x42, 10, 0, 0, 2)
	body = with(body, unix.IFLA_MTU, number(1400)...)
	body = with(body, unix.IFLA_LINK, number(9)...)
	require.Equal(t, Link{Index: 7, MTU: 1400, Peer: 9, Name: "eth0", MAC: "02:42:0a:00:00:02", Up: true}, ReadLink(body))
	require.Equal(t, Link{}, ReadLink(body[:unix.SizeofIfInfomsg-1]))
}

func TestRoutesAreRead(t *testing.T) {
	route := func(family, bits, protocol byte, link uint32, to ...byte) []byte {
		body := make([]byte, unix.SizeofRtMsg)
		body[0], body[1], body[5] = family, bits, protocol
		body = with(body, unix.RTA_OIF, number(link)...)
		if to != nil {
			body = with(body, unix.RTA_DST, to...)
		}
		return body
	}
	for text, body := range map[string][]byte{
		"10.0.0.0/8": route(unix.AF_INET, 8, unix.RTPROT_BOOT, 3, 10, 0, 0, 0),
		"0.0.0.0/0":  route(unix.AF_INET, 0, unix.RTPROT_BOOT, 3),
		"::/0":       route(unix.AF_INET6, 0, unix.RTPROT_RA, 3),
	} {
		r, ok := ReadRoute(body)
		require.True(t, ok, text)
		require.Equal(t, Route{netip.MustParsePrefix(text), 3, text == "::/0"}, r)
		require.Equal(t, r.To.Bits() == 0, r.LeadsOut())
	}
	loopback, ok := ReadRoute(route(unix.AF_INET6, 0, unix.RTPROT_BOOT, 1))
	require.True(t, ok)
	require.False(t, loopback.LeadsOut())
	for _, bad := range [][]byte{nil, route(unix.AF_INET, 33, 0, 3, 10, 0, 0, 0)} {
		_, ok := ReadRoute(bad)
		require.False(t, ok)
	}
}

func TestTheMTUIsThatOfTheDefaultRoute(t *testing.T) {
	everywhere := netip.MustParsePrefix("0.0.0.0/0")
	routes := []Route{{To: netip.MustParsePrefix("10.0.0.0/8"), Link: 2}, {To: everywhere, Link: 1}, {To: everywhere, Link: 3}}
	links := []Link{{Index: 1, Name: "lo", MTU: 65536}, {Index: 2, Name: "a", MTU: 9000}, {Index: 3, Name: "b", MTU: 1400}}
	require.EqualValues(t, 1400, UplinkMTU(routes, links))
	links[2].MTU = 1000 // too small for IPv6
	require.EqualValues(t, 1500, UplinkMTU(routes, links))
	links[2].MTU = 1 << 17
	require.EqualValues(t, 65535, UplinkMTU(routes, links))
}

func TestLearning(t *testing.T) {
	links := []Link{{Name: "lo", Index: 1}, {Name: "eth0", Index: 2}, {Name: "eth1", Index: 3}}
	routes := []Route{{Link: 2, Learned: true}, {Link: 2, Learned: true}, {Link: 3}}
	require.Equal(t, []string{"eth0"}, Learning(links, routes))
	require.Empty(t, Learning(links, routes[2:]))
}

// The kernel fills short names up with blanks: the 101st has none in front.
func TestFreeName(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	inside := exec.Command("unshare", "-n", "sh", "-c", `for i in $(seq 0 2 100); do echo "link add eth$i type veth peer name eth$((i+1))"; done | ip -batch - && echo && exec cat`)
	in, err := inside.StdinPipe()
	require.NoError(t, err)
	out, err := inside.StdoutPipe()
	require.NoError(t, err)
	inside.Stderr = os.Stderr
	require.NoError(t, inside.Start())
	defer inside.Wait()
	defer in.Close()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Skip("needs ip(8), and links of type veth")
	}
	name, err := FreeName(inside.Process.Pid)
	require.NoError(t, err)
	require.Equal(t, "eth102", name)
	_, err = FreeName(1 << 30)
	require.ErrorIs(t, err, os.ErrNotExist)
}
