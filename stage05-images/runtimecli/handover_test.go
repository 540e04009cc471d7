package runtimecli

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestGive: the terminal comes before the number, which says to an engine that all is there.
func TestGive(t *testing.T) {
	dir := t.TempDir()
	h := HandOver{PidFile: filepath.Join(dir, "pid"), ConsoleSocket: filepath.Join(dir, "socket")}
	broken := errors.New("no terminal came")
	require.ErrorIs(t, h.Give(7, func() (*os.File, error) { return nil, broken }), broken)
	require.NoFileExists(t, h.PidFile)

	engine, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.ConsoleSocket, Net: "unix"})
	require.NoError(t, err)
	defer engine.Close()
	require.NoError(t, h.Give(7, func() (*os.File, error) { return os.Open("/dev/null") }))
	conn, err := engine.AcceptUnix()
	require.NoError(t, err)
	defer conn.Close()
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(make([]byte, 64), rights)
	require.NoError(t, err)
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	require.NoError(t, err)
	fds, err := unix.ParseUnixRights(&messages[0])
	require.NoError(t, err)
	require.NoError(t, unix.Close(fds[0]))
	number, err := os.ReadFile(h.PidFile)
	require.NoError(t, err)
	require.Equal(t, "7", string(number))

	h = HandOver{PidFile: h.PidFile} // no terminal is waited for
	require.NoError(t, h.Give(8, nil))
}

// TestLoad: what is refused before the bundle is read, and a terminal that no process would hold.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	config := `{"ociVersion": "1.0.2", "root": {"path": "r"}, "process": {"cwd": "/", "args": ["sh"], "terminal": true}}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644))
	t.Chdir(dir)
	o := BundleOptions{Bundle: ".", NoPivot: true}
	_, _, err := o.Load(false)
	require.EqualError(t, err, "--no-pivot: not supported: a process can escape from a chroot")
	o.NoPivot = false
	at, spec, err := o.Load(false)
	require.NoError(t, err)
	require.Equal(t, []string{dir, filepath.Join(dir, "r")}, []string{at, spec.Root.Path})
	_, _, err = o.Load(true)
	require.ErrorContains(t, err, "process.terminal: cannot allocate a terminal without --console-socket")
}
