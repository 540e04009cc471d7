// A client that attaches to a container takes the connection over from HTTP (hijack): from then on
// it carries what is printed and typed. Without a terminal, output comes in frames (rest.Frames),
// which say whether it is standard output or error. The bytes do not pass through a job: the
// container's monitor writes into pipes that the daemon has handed to it (attach.Dial).

package main

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/attach"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage09-daemon/rest"
)

// clientConn is a client with a connection of its own.
type clientConn struct {
	conn     net.Conn
	in       io.Reader // what HTTP has read already, and the rest
	out, err io.Writer
	gone     chan struct{} // closed when the client has left

	attached chan *attach.Client // gets the client's end of the container's streams
}

// hijack takes the connection over. A terminal's output has no frames.
func hijack(w http.ResponseWriter, r *rest.Request, tty bool) (*clientConn, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	kind := "Content-Type: application/vnd.docker.multiplexed-stream\r\n"
	if tty {
		kind = "Content-Type: application/vnd.docker.raw-stream\r\n"
	}
	status := "HTTP/1.1 200 OK\r\n" + kind + "\r\n"
	if r.Header.Get("Upgrade") != "" {
		status = "HTTP/1.1 101 UPGRADED\r\n" + kind + "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
	}
	if _, err := io.WriteString(conn, status); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	frames := &rest.Frames{To: conn}
	v := &clientConn{conn: conn, in: buffered.Reader, gone: make(chan struct{}),
		attached: make(chan *attach.Client, 1),
		out:      frames.Stream(rest.Stdout), err: frames.Stream(rest.Stderr)}
	if tty {
		v.out, v.err = conn, conn
	}
	return v, nil
}

// attachContainer serves a client until the container ends or the client leaves. If the container
// is yet to be started it waits: startContainer attaches it before the process exists.
func attachContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	keys, err := attach.LeaveOptions{DetachKeys: r.Param("detachKeys")}.Keys()
	if err != nil {
		return rest.Errorf(http.StatusBadRequest, "%v", err)
	}
	if r.Is("logs") {
		return rest.Errorf(http.StatusNotImplemented, "attach: logs=1: ask for the logs first")
	}
	v, err := d.admit(c, w, r)
	if err != nil {
		return err
	}
	defer v.conn.Close()
	defer d.leave(c.ID, v)
	typed := r.Is("stdin") && c.Run.Interactive
	if !typed {
		go v.drain()
	}
	select {
	case client := <-v.attached:
		if client != nil {
			v.serve(client, typed, c.Run.TTY, keys)
		}
	case <-v.gone:
	}
	return nil
}

// admit takes a client's connection over and attaches it at once, or leaves it to the start of the
// container. The answer comes last: a client that has it may start the container, or let one that
// is held go on.
func (d *daemon) admit(c *Record, w http.ResponseWriter, r *rest.Request) (*clientConn, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	var client *attach.Client
	now, err := d.present(c.ID)
	isRunning := err == nil && now.isRunning()
	if isRunning || err == nil && state.Held(now.livePath()) { // or a box is starting it
		client, err = dial(now)
	}
	v, refused := hijack(w, r, c.Run.TTY)
	if refused != nil {
		if client != nil {
			client.Close()
		}
		return nil, refused
	}
	for key, stream := range map[string]*io.Writer{"stdout": &v.out, "stderr": &v.err} {
		if !r.Is(key) {
			*stream = io.Discard
		}
	}
	if client != nil || isRunning {
		v.take(client, err)
	} else {
		d.pending[c.ID] = append(d.pending[c.ID], v)
	}
	return v, nil
}

// leave forgets a client that still waits.
func (d *daemon) leave(id string, v *clientConn) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	rest := d.pending[id][:0:0]
	for _, other := range d.pending[id] {
		if other != v {
			rest = append(rest, other)
		}
	}
	if d.pending[id] = rest; len(rest) == 0 {
		delete(d.pending, id)
	}
}

// attachPending attaches those who wait for the start of a container, which is held meanwhile.
func (d *daemon) attachPending(c *Record) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for _, v := range d.pending[c.ID] {
		v.take(dial(c))
	}
	delete(d.pending, c.ID)
}

// dial gives the monitor of a container pipes for a client.
func dial(c *Record) (*attach.Client, error) {
	streams := []string{"stdout", "stderr"}
	if c.Run.Interactive {
		streams = append(streams, "stdin")
	}
	if c.Run.Interactive && !c.Run.TTY {
		streams = append(streams, attach.Once) // the end of what is typed is the end of the input
	}
	return attach.Dial(c.path(), nil, streams...)
}

// take has the connection served with the client's pipes, or says why there are none.
func (v *clientConn) take(client *attach.Client, err error) {
	if err != nil {
		io.WriteString(v.err, "box: "+err.Error()+"\n") // the other side may be gone already
	}
	v.attached <- client
}

// serve copies the streams until the container closes them or the keys are typed.
func (v *clientConn) serve(client *attach.Client, typed, tty bool, keys attach.Keys) {
	defer client.Close()
	if !tty {
		keys = nil
	}
	go func() {
		if !typed {
			<-v.gone
		} else if keys.Copy(client.Stdin, v.in) == attach.ErrDetached {
			v.conn.Close()
		} else {
			client.Stdin.Close()
			v.drain()
		}
		client.Close()
	}()
	var streams sync.WaitGroup
	streams.Go(func() { io.Copy(v.out, client.Stdout) })
	streams.Go(func() { io.Copy(v.err, client.Stderr) })
	streams.Wait()
}

// drain waits until the client has left. The end of what it sends does not mean that: it may have
// closed its half of the connection, and still read.
func (v *clientConn) drain() {
	io.Copy(io.Discard, v.in)
	for !hasLeft(v.conn) {
		time.Sleep(200 * time.Millisecond)
	}
	close(v.gone)
}

// hasLeft reports whether the other end of a connection is closed, both ways (poll(2)).
func hasLeft(conn net.Conn) bool {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	left := []unix.PollFd{{}}
	err = raw.Control(func(fd uintptr) {
		left[0].Fd = int32(fd)
		unix.Poll(left, 0) // without waiting
	})
	return err != nil || left[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}

// resizeContainer gives the container's terminal a size, as a client that wants no stream does.
func resizeContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	size, err := sizeIn(r)
	if err != nil {
		return err
	}
	if !c.isRunning() {
		return rest.Errorf(http.StatusConflict, "container %s is not running", c.Name)
	}
	client, err := attach.Dial(c.path(), nil)
	if err == nil {
		err = client.ResizeAndClose(size.Row, size.Col)
	}
	return done(w, http.StatusOK, err)
}
