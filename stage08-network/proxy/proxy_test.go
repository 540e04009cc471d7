package proxy

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func serve(t *testing.T, network, target string) *Proxy {
	t.Helper()
	p, err := Listen(network, "127.0.0.1:0", func() string { return target })
	require.NoError(t, err)
	require.NotZero(t, p.Port())
	go p.Serve()
	t.Cleanup(func() { p.Close() })
	return p
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	var addr net.Addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(p.Port())}
	if p.packets != nil {
		addr = p.packets.LocalAddr()
	}
	conn, err := net.Dial(addr.Network(), addr.String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn
}

// TestStreams sends until the end, and reads an answer that comes after it.
func TestStreams(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		conn, err := target.Accept()
		if err != nil {
			return
		}
		all, _ := io.ReadAll(conn)
		conn.Write([]byte(strings.ToUpper(string(all))))
		conn.Close()
	}()
	client := dial(t, serve(t, "tcp4", target.Addr().String())).(*net.TCPConn)
	_, err = client.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, client.CloseWrite())
	got, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "HELLO", string(got))

	// Where nothing listens any more, the connection is reset.
	require.NoError(t, target.Close())
	p := serve(t, "tcp4", target.Addr().String())
	conn, err := net.Dial("tcp", p.streams.Addr().String())
	if err == nil { // else it was reset at once
		_, err = io.ReadAll(conn)
		conn.Close()
	}
	require.ErrorContains(t, err, "reset")
}

// TestPackets has two clients, each of which gets its own answers.
func TestPackets(t *testing.T) {
	target, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { target.Close() })
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := target.ReadFrom(b)
			if err != nil {
				return
			}
			target.WriteTo(b[:n], from)
		}
	}()
	p := serve(t, "udp4", target.LocalAddr().String())
	one, other := dial(t, p), dial(t, p)
	for _, word := range []string{"a", "b"} {
		for _, client := range []net.Conn{one, other} {
			said := word + client.LocalAddr().String()
			_, err := client.Write([]byte(said))
			require.NoError(t, err)
			b := make([]byte, 100)
			n, err := client.Read(b)
			require.NoError(t, err)
			require.Equal(t, said, string(b[:n]))
		}
	}
}

func TestThePortIsHeld(t *testing.T) {
	for _, proto := range []string{"tcp", "udp"} {
		p := serve(t, proto+"4", "127.0.0.1:9")
		port := p.Port()
		pid, command := User(proto, port)
		require.Equal(t, os.Getpid(), pid)
		name, err := os.ReadFile("/proc/self/comm")
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(string(name)), command)
		require.NoError(t, p.Close())
		pid, _ = User(proto, port)
		require.Zero(t, pid)
	}
}
