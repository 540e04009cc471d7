package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/pty"
)

// remote is a box -H for the daemon.
func (c *client) remote(args ...string) *exec.Cmd {
	cmd := exec.Command(box, append([]string{"-H", "unix://" + c.socket}, args...)...)
	cmd.Env = append(os.Environ(), "BOX_ROOT=/nonexistent", "STAGEBOX_OURS=1")
	return cmd
}

// TestHost: a command line behind -H does what it does here, on the daemon's store.
func TestHost(t *testing.T) {
	c := ask(t)
	dir := t.TempDir()
	do := func(status int, input string, args ...string) (stdout, stderr string) {
		t.Helper()
		cmd := c.remote(args...)
		var errors strings.Builder
		cmd.Dir, cmd.Stdin, cmd.Stderr = dir, strings.NewReader(input), &errors
		out, _ := cmd.Output()
		require.Equal(t, status, cmd.ProcessState.ExitCode(), "%v: %s", args, &errors)
		return string(out), errors.String()
	}
	out, errs := do(7, "typed", "run", "-i", "--rm", "--network", "none", "-e", "STAGEBOX_OURS", "tiny", "sh", "-c", "cat; echo $STAGEBOX_OURS; echo err >&2; exit 7")
	require.Equal(t, "typed1\n", out)
	require.Equal(t, "err\n", errs)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM tiny\nCOPY Dockerfile /\n"), 0o644))
	do(0, "", "build", "-t", "built", ".")
	do(0, "", "save", "-o", "saved", "built")
	require.FileExists(t, filepath.Join(dir, "saved"))
	do(0, "", "run", "-d", "--name", "web", "--network", "none", "built", "sh", "-c", "echo begun; exec sleep 1000")
	require.Equal(t, "web\n", c.box("ps", "--format", "{{.Names}}"))
	out, _ = do(0, "", "exec", "web", "head", "-1", "/Dockerfile")
	require.Equal(t, "FROM tiny\n", out)
	_, errs = do(1, "", "daemon")
	require.Contains(t, errs, "daemon: not for a daemon: leave out -H")
	c.ok(400, "POST", "/box", map[string]any{"Words": []string{"daemon"}})
	c.ok(400, "POST", "/box", map[string]any{})
	c.ok(400, "POST", "/box", map[string]any{"Words": []string{"ps"}, "Dir": "/nonexistent"})
}

// jobs are the children of the daemon (proc(5)).
func (c *client) jobs() (pids []string) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.daemon.Process.Pid))
	require.NoError(c, err)
	for _, list := range lists {
		text, _ := os.ReadFile(list) // "" of a thread that has ended
		pids = append(pids, strings.Fields(string(text))...)
	}
	return pids
}

// TestHostSignals: a signal reaches the job; and a job ends when its client does.
func TestHostSignals(t *testing.T) {
	c := ask(t)
	c.create("web", nil, "echo begun; while :; do sleep 0.05; done")
	c.ok(204, "POST", "/containers/web/start", nil)
	for _, killed := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		follow := c.remote("logs", "-f", "web")
		out, err := follow.StdoutPipe()
		require.NoError(t, errors.Join(err, follow.Start()))
		_, err = io.ReadFull(out, make([]byte, len("begun\n")))
		require.NoError(t, err)
		require.Len(t, c.jobs(), 1)
		require.NoError(t, follow.Process.Signal(killed))
		require.Error(t, follow.Wait())
		require.Eventually(t, func() bool { return len(c.jobs()) == 0 }, time.Minute, 5*time.Millisecond)
	}
	run := c.remote("run", "--rm", "--network", "none", "tiny", "sh", "-c", "trap 'exit 5' TERM; echo begun; while :; do sleep 0.05; done")
	out, err := run.StdoutPipe()
	require.NoError(t, errors.Join(err, run.Start()))
	_, err = io.ReadFull(out, make([]byte, len("begun\n")))
	require.NoError(t, errors.Join(err, run.Process.Signal(unix.SIGTERM)))
	require.Error(t, run.Wait())
	require.Equal(t, 5, run.ProcessState.ExitCode())
}

// TestHostTerminal: at a terminal the job has one too, of the same size; keys make its signals.
func TestHostTerminal(t *testing.T) {
	c := ask(t)
	ours, theirs, err := pty.Open()
	require.NoError(t, err)
	defer ours.Close()
	require.NoError(t, pty.SetSize(ours, &unix.Winsize{Row: 33, Col: 77}))
	cmd := c.remote("run", "-it", "--rm", "--network", "none", "tiny", "sh", "-c",
		"trap 'exit 9' INT; stty size; while :; do sleep 0.05; done") // without a trap, process 1 gets no signal: ^C between two commands would be lost
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, errors.Join(cmd.Start(), theirs.Close()))
	var shown bytes.Buffer
	for one := make([]byte, 1); !strings.Contains(shown.String(), "33 77\r\n"); shown.Write(one) {
		_, err := ours.Read(one)
		require.NoError(t, err, &shown)
	}
	_, err = ours.WriteString("\x03")
	require.NoError(t, err)
	io.Copy(io.Discard, ours)
	require.Error(t, cmd.Wait())
	require.Equal(t, 9, cmd.ProcessState.ExitCode())
}

// TestHostOfAnother: what does not take a command line is said; and so is the end of a daemon.
func TestHostOfAnother(t *testing.T) {
	dir, err := os.MkdirTemp("", "box")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	docker := httptest.NewUnstartedServer(http.NotFoundHandler())
	l, err := listenAt(filepath.Join(dir, "sock"), "")
	require.NoError(t, err)
	docker.Listener = l
	docker.Start()
	defer docker.Close()
	for address, says := range map[string]string{"unix://" + filepath.Join(dir, "sock"): "is not box's: use the docker command",
		"unix:///nonexistent": "no such file", "tiny": "not an address", "tcp://127.0.0.1:1": "DOCKER_CERT_PATH"} {
		cmd := exec.Command(box, "-H", address, "ps")
		cmd.Env = append(os.Environ(), "DOCKER_CERT_PATH="+dir)
		out, _ := cmd.CombinedOutput()
		require.Equal(t, 1, cmd.ProcessState.ExitCode())
		require.Contains(t, string(out), says)
	}
}
