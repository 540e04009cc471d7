package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/attach"
	"stagebox/stage09-daemon/rest"
)

// hijacked is a request whose connection a handler takes over.
type hijacked struct {
	*httptest.ResponseRecorder
	conn answered
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// answered is a connection to a client that does something when it gets an answer.
type answered struct {
	net.Conn
	then func()
}

func (a answered) Write(data []byte) (int, error) {
	a.then()
	return len(data), nil
}

// TestAttachBeforeStart: docker start -a and docker run start a container as soon as attach is answered.
// A start at that instant, which attaches those who wait, does not miss this client.
func TestAttachBeforeStart(t *testing.T) {
	d := idle(t)
	c := &Record{ID: "x", Run: &Container{}, store: d.Store}
	server, client := net.Pipe()
	defer client.Close()
	started := make(chan bool, 1)
	w := hijacked{httptest.NewRecorder(), answered{server, func() {
		if d.mutex.TryLock() { // the start does not have to wait for this client
			defer d.mutex.Unlock()
			require.NotEmpty(t, d.pending[c.ID], "the client has an answer, and a start would leave it out")
		}
		go func() {
			d.mutex.Lock()
			defer d.mutex.Unlock()
			started <- len(d.pending[c.ID]) == 1
		}()
	}}}
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/containers/x/attach?stdout=1", nil)
	v, err := d.admit(c, w, &rest.Request{Request: r})
	require.NoError(t, err)
	require.NotNil(t, v)
	require.True(t, <-started)
}

// TestAttachedBeforeAnswered: another box, not the daemon, holds a container back until the client has its answer.
// The client does not miss what the container prints, even if it has ended before the daemon does anything more.
func TestAttachedBeforeAnswered(t *testing.T) {
	c := ask(t)
	c.create("short", nil, "echo printed")
	d := idle(t)
	d.Store = Store{Root: c.root}
	record, err := d.find("short")
	require.NoError(t, err)
	isHeld, answer := make(chan bool), make(chan bool)
	held, released, err := attach.Hold(func() error { close(isHeld); <-answer; return nil })
	require.NoError(t, err)
	start := exec.Command(box, "start", "--hold", "short")
	start.Env, start.Stdin = append(os.Environ(), "BOX_ROOT="+c.root), held
	require.NoError(t, start.Start())
	<-isHeld
	server, client := net.Pipe()
	defer client.Close()
	w := hijacked{httptest.NewRecorder(), answered{server, sync.OnceFunc(func() {
		close(answer)
		require.NoError(t, released())
		require.NoError(t, start.Wait())
		require.Equal(t, "0\n", c.box("wait", "short"))
	})}}
	v, err := d.admit(record, w, &rest.Request{Request: httptest.NewRequest(http.MethodPost, "/containers/short/attach?stdout=1", nil)})
	require.NoError(t, err)
	require.NotEmpty(t, v.attached, "the client is not attached")
	streams := <-v.attached
	defer streams.Close()
	printed, err := io.ReadAll(streams.Stdout)
	require.NoError(t, err)
	require.Equal(t, "printed\n", string(printed))
}

// TestAttachWhileStarting: a client may come when a box has the container already, and its process does not exist yet.
func TestAttachWhileStarting(t *testing.T) {
	c := ask(t)
	c.create("slow", map[string]any{}, "echo printed")
	var out io.Reader
	held, attached, err := attach.Hold(func() error {
		_, out = c.hijack("/containers/slow/attach?stream=1&stdout=1", "")
		return nil
	})
	require.NoError(t, err)
	start := exec.Command(box, "start", "--hold", "slow") // not by the daemon
	start.Env, start.Stdin = append(os.Environ(), "BOX_ROOT="+c.root), held
	require.NoError(t, start.Start())
	require.NoError(t, attached())
	require.NoError(t, start.Wait())
	require.NoError(t, out.(net.Conn).SetReadDeadline(time.Now().Add(time.Minute)))
	stdout, _ := c.frames(out)
	require.Equal(t, "printed\n", stdout)
}
