package agent

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// connect is a client of a server in this process.
func connect(t *testing.T) *Client {
	host, machine := net.Pipe()
	go func() { _ = Serve(machine) }() // ends with the pipe
	t.Cleanup(func() { host.Close() })
	c, err := Connect(host)
	require.NoError(t, err)
	return c
}

func TestOutputAndStatus(t *testing.T) {
	t.Parallel()
	c := connect(t)
	out, err := c.Output("sh", "-c", "echo out; echo err >&2")
	require.NoError(t, err)
	require.Equal(t, "out\nerr\n", out)
	for script, want := range map[string]int{"exit 7": 7, "kill -9 $$": 137} {
		p, err := c.Start(Request{Argv: []string{"sh", "-c", script}})
		require.NoError(t, err)
		status, err := p.Wait()
		require.NoError(t, err)
		require.Equal(t, want, status, script)
	}
}

func TestProgramThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := connect(t).Output("/no/such/program")
	require.ErrorContains(t, err, "exit status 127")
	require.ErrorContains(t, err, "no such file")
}

// A program on a terminal sees its size, also after it has changed, and Ctrl-C.
func TestTerminal(t *testing.T) {
	t.Parallel()
	c := connect(t)
	p, err := c.Start(Request{Argv: []string{"sh", "-c", "stty size; read line; stty size; trap 'echo got INT; exit 3' INT; echo ready; while :; do sleep 0.01; done"},
		TTY: true, Size: Size{Rows: 11, Cols: 22}})
	require.NoError(t, err)
	until(t, p, "11 22")
	require.NoError(t, p.Resize(Size{Rows: 33, Cols: 44}))
	_, err = p.Write([]byte("\n"))
	require.NoError(t, err)
	require.Contains(t, until(t, p, "ready"), "33 44")
	_, err = p.Write([]byte{3})
	require.NoError(t, err)
	until(t, p, "got INT")
	status, err := p.Wait()
	require.NoError(t, err)
	require.Equal(t, 3, status)
}

// until reads up to some words, and returns all that it has read: more may have come with them.
func until(t *testing.T, p *Process, words string) string {
	t.Helper()
	var seen strings.Builder
	for buf := make([]byte, 100); !strings.Contains(seen.String(), words); {
		n, err := p.Read(buf)
		seen.Write(buf[:n])
		require.NoError(t, err, seen.String())
	}
	return seen.String()
}

// A terminal that is left hangs up: its program does not go on without it.
func TestLeavingHangsUp(t *testing.T) {
	t.Parallel()
	c := connect(t)
	mark := filepath.Join(t.TempDir(), "mark")
	p, err := c.Start(Request{Argv: []string{"sh", "-c", "trap 'echo >" + mark + "; exit' HUP; echo ready; while :; do sleep 0.01; done"}, TTY: true, Size: Size{24, 80}})
	require.NoError(t, err)
	until(t, p, "ready")
	require.NoError(t, p.Close())
	require.Eventually(t, func() bool { _, err := os.Stat(mark); return err == nil }, time.Minute, 10*time.Millisecond)
}

// An unread terminal does not hold up another stream.
func TestStreamsAreIndependent(t *testing.T) {
	t.Parallel()
	c := connect(t)
	p, err := c.Start(Request{Argv: []string{"yes"}, TTY: true, Size: Size{24, 80}})
	require.NoError(t, err)
	out, err := c.Output("echo", "through")
	require.NoError(t, err)
	require.Equal(t, "through\n", out)
	require.NoError(t, p.Close())
}

func TestPut(t *testing.T) {
	t.Parallel()
	c := connect(t)
	name := filepath.Join(t.TempDir(), "below", "file")
	content := strings.Repeat("0123456789", 1<<16) // more than a window
	require.NoError(t, c.Put(name, 0o750, strings.NewReader(content)))
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, content, string(data))
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o750), info.Mode())
	require.ErrorContains(t, c.Put("/dev/null/x", 0o600, strings.NewReader("")), "/dev/null")
}
