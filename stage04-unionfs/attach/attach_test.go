package attach_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/attach"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// listen makes a hub in a directory whose path is too long for the address of a socket.
func listen(t *testing.T) (hub *attach.Hub, dir string) {
	dir = filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	require.NoError(t, os.Mkdir(dir, 0o700))
	hub, err := attach.Listen(dir)
	require.NoError(t, err)
	return hub, dir
}

func dial(t *testing.T, dir string, streams ...string) *attach.Client {
	c, err := attach.Dial(dir, nil, streams...)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// Each client gets the streams that it wants, from when it came, until the hub is closed.
func TestOutput(t *testing.T) {
	hub, dir := listen(t)
	write := func(stream, text string) {
		n, err := io.WriteString(hub.Output(stream), text)
		require.NoError(t, err)
		require.Len(t, text, n)
	}
	write("stdout", "nobody")
	both, one := dial(t, dir, "stdout", "stderr"), dial(t, dir, "stderr")
	write("stdout", "out")
	write("stderr", "err")
	gone := dial(t, dir, "stdout")
	require.NoError(t, gone.Close())
	write("stdout", "put")
	require.NoError(t, hub.Close())
	for file, want := range map[*os.File]string{both.Stdout: "output", both.Stderr: "err", one.Stderr: "err"} {
		text, err := io.ReadAll(file)
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
	require.Nil(t, one.Stdout)
	_, err := attach.Dial(dir, nil, "stdout")
	require.ErrorIs(t, err, unix.ENOENT)
}

// What several clients type arrives in one pipe, which is still open when they have ended.
func TestInput(t *testing.T) {
	hub, dir := listen(t)
	defer hub.Close()
	early := dial(t, dir, "stdin")
	_, err := early.Stdin.WriteString("early ")
	require.NoError(t, err)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	hub.Input(write)
	require.Equal(t, "early ", next(t, read))
	late := dial(t, dir, "stdin", "stdout")
	require.NoError(t, early.Stdin.Close())
	_, err = late.Stdin.WriteString("late")
	require.NoError(t, err)
	require.Equal(t, "late", next(t, read))
	require.NoError(t, read.SetReadDeadline(time.Now().Add(time.Millisecond)))
	_, err = read.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it has not ended")
	require.NoError(t, write.Close())
}

func next(t *testing.T, from io.Reader) string {
	data := make([]byte, 100)
	n, err := from.Read(data)
	require.NoError(t, err)
	return string(data[:n])
}

// A client gives the container's terminal a size: at once, before what is typed arrives there, and
// when it has another one. It does not wait until there is a terminal.
func TestResize(t *testing.T) {
	hub, dir := listen(t)
	defer hub.Close()
	c, err := attach.Dial(dir, &unix.Winsize{Row: 30, Col: 99}, "stdin", "stdout")
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Stdin.WriteString("typed\n")
	require.NoError(t, err)
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	defer master.Close()
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	defer slave.Close()
	hub.Input(master)
	require.Equal(t, "typed\n", next(t, slave))
	size, err := unix.IoctlGetWinsize(int(slave.Fd()), unix.TIOCGWINSZ)
	require.NoError(t, err)
	require.Equal(t, "30 99", fmt.Sprint(size.Row, size.Col))
	require.NoError(t, c.Resize(31, 100))
	require.Eventually(t, func() bool {
		size, err := unix.IoctlGetWinsize(int(slave.Fd()), unix.TIOCGWINSZ)
		return err == nil && size.Row == 31 && size.Col == 100
	}, time.Minute, time.Millisecond)
	for row := range uint16(200) { // one that waits has its size when it returns
		c, err := attach.Dial(dir, nil)
		require.NoError(t, err)
		require.NoError(t, c.ResizeAndClose(row, 100))
		size, err := unix.IoctlGetWinsize(int(slave.Fd()), unix.TIOCGWINSZ)
		require.NoError(t, err)
		require.Equal(t, row, size.Row)
	}
}

// A hub takes the place of one that was killed, and a peer that sends something else is harmless.
func TestStrangers(t *testing.T) {
	_, dir := listen(t)
	hub, err := attach.Listen(dir)
	require.NoError(t, err)
	c := dial(t, dir)
	require.NoError(t, c.Resize(1, 2)) // of no terminal
	d := dial(t, dir, "nonsense", "stdout")
	hub.Input(nil)
	_, err = io.WriteString(hub.Output("stdout"), "text")
	require.NoError(t, err)
	require.Equal(t, "text", next(t, d.Stdout))
	require.NoError(t, hub.Close())
}

// TestClosedHub: to a client that waits, a hub that closes refuses. The kernel resets connections that
// were not accepted; one that was accepted ends.
func TestClosedHub(t *testing.T) {
	for _, accepts := range []bool{false, true} {
		t.Chdir(t.TempDir())
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: "attach"}))
		require.NoError(t, unix.Listen(fd, 1))
		refused := make(chan error)
		go func() {
			_, err := attach.Dial(".", nil, "stdout")
			refused <- err
		}()
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1) // a client waits
		require.NoError(t, err)
		if accepts {
			conn, _, err := unix.Accept(fd)
			require.NoError(t, err)
			require.NoError(t, unix.Close(conn))
		}
		require.NoError(t, unix.Close(fd))
		require.ErrorIs(t, <-refused, unix.ECONNREFUSED)
	}
}

func TestParseKeys(t *testing.T) {
	for text, want := range map[string]string{"ctrl-p,ctrl-q": "\x10\x11", "x,y": "xy", "ctrl-@,ctrl-_": "\x00\x1f", "ctrl-[": "\x1b", "a": "a"} {
		keys, err := attach.ParseKeys(text)
		require.NoError(t, err, text)
		require.Equal(t, want, string(keys), text)
	}
	for _, text := range []string{"", "ctrl-", "ctrl-P", "ctrl-1", "xy", "a,,b", "ctrl-p q"} {
		_, err := attach.ParseKeys(text)
		require.ErrorContains(t, err, "a key is one character", text)
	}
}

// What is typed is passed on byte by byte, but for the keys.
func TestKeys(t *testing.T) {
	for _, c := range []struct{ keys, typed, want string }{
		{"xy", "axbxy", "axb"}, {"xy", "xxy", "x"}, {"aab", "aaab", "a"}, {"xy", "x", "x"}, {"", "text", "text"}, {"x", "xrest", ""},
	} {
		var got bytes.Buffer
		typed := iotestOneByte{strings.NewReader(c.typed)}
		err := attach.Keys(c.keys).Copy(&got, typed)
		require.Equal(t, c.keys != "" && strings.Contains(c.typed, c.keys), errors.Is(err, attach.ErrDetached), c)
		require.Equal(t, c.want, got.String(), c)
		got.Reset()
		attach.Keys(c.keys).Copy(&got, strings.NewReader(c.typed)) // all at once, as it is pasted
		require.Equal(t, c.want, got.String(), c)
	}
}

// iotestOneByte reads a byte at a time, as at a terminal.
type iotestOneByte struct{ io.Reader }

func (r iotestOneByte) Read(data []byte) (int, error) { return r.Reader.Read(data[:1]) }

// The end of the input of a client that asks for it is the end of the container's.
func TestOnce(t *testing.T) {
	hub, dir := listen(t)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	hub.Input(write)
	first, second := dial(t, dir, "stdin"), dial(t, dir, "stdout", "stdin", attach.Once)
	_, err = first.Stdin.WriteString("one")
	require.NoError(t, errors.Join(err, first.Stdin.Close()))
	_, err = io.ReadFull(read, make([]byte, 3))
	require.NoError(t, err)
	_, err = second.Stdin.WriteString("two")
	require.NoError(t, errors.Join(err, second.Stdin.Close()))
	rest, err := io.ReadAll(read)
	require.NoError(t, err)
	require.Equal(t, "two", string(rest))
	require.NoError(t, hub.Close())
}
