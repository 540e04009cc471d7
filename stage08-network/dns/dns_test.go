package dns

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// testServer knows web, x*63 and, for the addresses of web, its name; no other server is asked.
func testServer() *Server {
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")}
	records := map[string]Records{"web": {Addrs: addrs}, strings.Repeat("x", 63): {Addrs: addrs[:1]},
		ReverseName(addrs[0]): {Names: []string{"web"}}, ReverseName(addrs[1]): {Names: []string{strings.Repeat("x", 300)}}}
	return &Server{TTL: 5, Limit: 64, Upstream: func() []netip.Addr { return nil },
		Lookup: func(name string) (Records, error) {
			switch r, known := records[name]; {
			case known:
				return r, nil
			case name == "broken":
				return r, errors.New("x")
			case name == "absent":
				return r, ErrNoName
			}
			return Records{}, ErrUnknown
		}}
}

func question(t testing.TB, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}}}
	packed, err := m.Pack()
	require.NoError(t, err)
	return packed
}

func TestOwnAnswers(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  dnsmessage.Type
		code  dnsmessage.RCode
		count int
		final bool
	}{
		{"web.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1, true},
		{"WEB.", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, 1, true},
		{"web.", dnsmessage.TypeMX, dnsmessage.RCodeSuccess, 0, true},
		{"web.", dnsmessage.TypeALL, dnsmessage.RCodeSuccess, 0, true},
		{"2.0.0.10.in-addr.arpa.", dnsmessage.TypePTR, dnsmessage.RCodeSuccess, 1, true},
		{"2.0.0.10.in-addr.arpa.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 0, true},
		{ReverseName(netip.MustParseAddr("fd00::2")) + ".", dnsmessage.TypePTR, dnsmessage.RCodeSuccess, 0, true}, // a name that is none
		{"other.", dnsmessage.TypeA, dnsmessage.RCodeServerFailure, 0, false},
		{"absent.", dnsmessage.TypeA, dnsmessage.RCodeNameError, 0, true},
		{"broken.", dnsmessage.TypeA, dnsmessage.RCodeServerFailure, 0, true},
	} {
		answer, final := testServer().own(question(t, c.name, c.kind), maxPacket)
		require.Equal(t, c.final, final, c.name)
		var m dnsmessage.Message
		require.NoError(t, m.Unpack(answer))
		require.Equal(t, c.code, m.RCode, c.name)
		require.Len(t, m.Answers, c.count, c.name)
		for _, a := range m.Answers {
			require.Equal(t, uint32(5), a.Header.TTL)
		}
	}
}

// TestLongAnswersAreCut asks for a name that very many containers have.
func TestLongAnswersAreCut(t *testing.T) {
	var all []netip.Addr
	for addr := netip.MustParseAddr("10.0.0.2"); len(all) < 5000; addr = addr.Next() {
		all = append(all, addr)
	}
	for _, c := range []struct{ most, count, fit int }{
		{maxPacket, 20, 20}, {maxPacket, 60, 30}, {maxPacket, 5000, 30}, {maxMessage, 60, 60}, {maxMessage, 5000, 4094},
	} {
		s := &Server{Lookup: func(string) (Records, error) { return Records{Addrs: all[:c.count]}, nil }}
		answer, _ := s.own(question(t, "many.", dnsmessage.TypeA), c.most)
		require.LessOrEqual(t, len(answer), c.most)
		var m dnsmessage.Message
		require.NoError(t, m.Unpack(answer))
		require.Len(t, m.Answers, c.fit)
		require.Equal(t, c.fit < c.count, m.Truncated)
	}
}

// TestOwnNamesDoNotWait asks for one while as many questions are passed on, and as many
// connections held, as there may be.
func TestOwnNamesDoNotWait(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := testServer()
	s.Start(packets, streams)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for range s.Limit {
		s.busy <- struct{}{}
		s.callers <- struct{}{}
	}
	client, err := net.Dial("udp", packets.LocalAddr().String())
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Write(question(t, "web.", dnsmessage.TypeA))
	require.NoError(t, err)
	require.NoError(t, client.SetReadDeadline(time.Now().Add(time.Minute)))
	answer := make([]byte, maxPacket)
	size, err := client.Read(answer)
	require.NoError(t, err)
	var m dnsmessage.Message
	require.NoError(t, m.Unpack(answer[:size]))
	require.Len(t, m.Answers, 1)
}

// TestStartOn answers on sockets that it is given as numbers, and says which is none.
func TestStartOn(t *testing.T) {
	packets, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer packets.Close()
	streams, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer streams.Close()
	number := func(file *os.File, err error) uintptr {
		require.NoError(t, err)
		defer file.Close()
		copied, err := unix.Dup(int(file.Fd()))
		require.NoError(t, err)
		return uintptr(copied)
	}
	udp, tcp := number(packets.(*net.UDPConn).File()), number(streams.(*net.TCPListener).File())
	s := testServer()
	require.NoError(t, s.StartOn(udp, tcp))
	defer s.Close()
	for _, fd := range []uintptr{udp, tcp} {
		_, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
		require.ErrorIs(t, err, unix.EBADF, "it has copies")
	}
	client, err := net.Dial("udp4", packets.LocalAddr().String())
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Write(question(t, "web.", dnsmessage.TypeA))
	require.NoError(t, err)
	answer := make([]byte, 512)
	n, err := client.Read(answer)
	require.NoError(t, err)
	var m dnsmessage.Message
	require.NoError(t, m.Unpack(answer[:n]))
	require.True(t, m.Response)

	null := func() uintptr { return number(os.Open(os.DevNull)) }
	require.Error(t, testServer().StartOn(null(), null()), "it is no socket")
}

func TestAnswersOverTCP(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := testServer()
	s.Start(packets, streams)
	client, err := net.Dial("tcp", streams.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	for _, name := range []string{"web.", "other."} {
		q := question(t, name, dnsmessage.TypeA)
		require.NoError(t, writeMessage(client, q))
		answer, err := readMessage(client)
		require.NoError(t, err)
		require.True(t, isAnswer(q, answer), name)
	}
	require.NoError(t, s.Close())
	_, err = net.Dial("tcp", streams.Addr().String())
	require.Error(t, err)
}

func TestResolvConf(t *testing.T) {
	conf := "nameserver 10.0.0.1\n# nameserver 10.0.0.9\nnameserver x\nsearch  example.org\nnameserver ::1\nnameserver 10.0.0.3\nnameserver 10.0.0.4\noptions ndots:2\n"
	require.Equal(t, []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("10.0.0.3")}, Nameservers(conf))
	require.Equal(t, "nameserver 127.0.0.11\nsearch example.org\noptions ndots:2\n", WithNameservers(conf, netip.MustParseAddr("127.0.0.11")))
	require.Equal(t, "nameserver ::1\noptions ndots:0\n", NamesFirst("nameserver ::1\n"))
	require.Equal(t, "options edns0\noptions ndots:0\n", NamesFirst("options edns0\n"))
	require.Equal(t, "options ndots:2\n", NamesFirst("options ndots:2\n"), "the host's own")
}

func FuzzServer(f *testing.F) {
	s := testServer()
	for _, name := range []string{"web.", "x.", "absent.", ReverseName(netip.MustParseAddr("10.0.0.2")) + ".", ReverseName(netip.MustParseAddr("fd00::2")) + "."} {
		for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypePTR, dnsmessage.TypeALL} {
			f.Add(question(f, name, kind))
		}
	}
	f.Add([]byte{0, 1, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1}) // a name that points at itself
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, most := range []int{maxPacket, maxMessage} {
			answer, _ := s.own(data, most)
			if answer == nil {
				continue
			}
			var m dnsmessage.Message
			require.NoError(t, m.Unpack(answer))
			require.True(t, m.Response)
			require.Equal(t, data[:2], answer[:2])
		}
		isAnswer(data, data)
		Nameservers(string(data))
	})
}

// What is not given stays the host's.
func TestWithWords(t *testing.T) {
	const host = "nameserver ::1\nsearch a b\noptions edns0"
	for want, given := range map[string][2][]string{
		host: {},
		"nameserver ::1\noptions edns0\nsearch c d\n":          {{"c", "d"}, nil},
		"nameserver ::1\noptions edns0\n":                      {{"."}, nil},
		"nameserver ::1\nsearch a b\noptions ndots:2 rotate\n": {nil, {"ndots:2", "rotate"}},
	} {
		require.Equal(t, want, WithWords(host, given[0], given[1]))
		require.NoError(t, CheckWords(given[0], given[1]))
	}
	for _, domain := range []string{"", "a b", "a\nnameserver 9.9.9.9"} {
		require.ErrorContains(t, CheckWords([]string{domain}, nil), "--dns-search", domain)
		require.ErrorContains(t, CheckWords(nil, []string{domain + " "}), "--dns-option", domain)
	}
}
