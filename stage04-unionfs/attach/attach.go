// Package attach lets other processes see what a container prints, and type to it. The process
// that stays with the container, its monitor, has a Hub: a socket (unix(7)) beside the container's
// record. A client connects to it and sends one message with the files that it wants to be served
// through (SCM_RIGHTS), then a message for each new size of its terminal. The messages of a
// SOCK_SEQPACKET socket stay apart, and the bytes of the streams do not go through it: a client
// may pass on a connection to a third party, and end.
//
// StartMonitor, RestartMonitor and Hold are for the command that starts the monitor. Dial connects
// to its Hub, and Visit joins a box's own terminal and signals to a container. LeaveOptions, Keys
// and RunDetachable let a user detach from a container by a sequence of keys. No lesson reads it.
package attach

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Hub is the monitor's side.
type Hub struct {
	socket *os.File
	path   string
	mutex  sync.Mutex
	served []*served
	lost   error // why the caller's own output could not be written

	hasInput chan struct{} // closed by Input
	input    *os.File
}

// served is a client as the hub sees it, or the monitor's own caller.
type served struct {
	conn   *os.File            // nil for the caller
	files  map[string]*os.File // by the name of the stream: stdin, stdout, stderr
	broken chan struct{}       // closed when the caller's output is not read any more
}

// Listen makes the socket in a directory. One that a killed monitor has left is replaced.
func Listen(dir string) (*Hub, error) {
	h := &Hub{path: filepath.Join(dir, "attach"), hasInput: make(chan struct{})}
	if err := os.Remove(h.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	h.socket = os.NewFile(uintptr(fd), h.path)
	err = withAddress(dir, func(to unix.Sockaddr) error { return unix.Bind(fd, to) })
	if err == nil {
		err = unix.Listen(fd, 16)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("socket %s: %w", h.path, err), h.socket.Close())
	}
	go h.accept()
	return h, nil
}

// withAddress calls do with the address of the socket in a directory. An address holds 107 bytes,
// and the path of a store may be longer, so it leads through an open directory.
func withAddress(dir string, do func(unix.Sockaddr) error) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(&unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/attach", fd)})
}

// Caller serves the monitor's own standard output and error too. The channel is closed when one
// of them is a pipe that is not read any more.
func (h *Hub) Caller() (broken <-chan struct{}) {
	c := &served{files: map[string]*os.File{}, broken: make(chan struct{})}
	for fd, name := range map[uintptr]string{1: "stdout", 2: "stderr"} {
		if own, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3); err == nil { // else it is closed
			c.files[name] = os.NewFile(uintptr(own), name)
		}
	}
	h.add(c)
	return c.broken
}

// LeaveCaller no longer serves the monitor's own standard output and error, as run and start do when
// the keys to detach are typed. It returns Docker's status for that.
func (h *Hub) LeaveCaller() (status byte) {
	h.mutex.Lock()
	all := slices.Clone(h.served)
	h.mutex.Unlock()
	for _, c := range all {
		if c.broken != nil {
			h.drop(c, nil)
		}
	}
	return 0
}

// Input sets where the clients' input goes, once: a pipe or a terminal of the container's.
func (h *Hub) Input(to *os.File) {
	h.input = to
	close(h.hasInput)
}

// Output is a stream to all who are served. It never fails: a client that cannot be written to
// is dropped, and one that does not read makes the container wait, as a full pipe does.
func (h *Hub) Output(stream string) io.Writer { return output{h, stream} }

type output struct {
	*Hub
	stream string
}

func (o output) Write(data []byte) (int, error) {
	o.mutex.Lock()
	all := slices.Clone(o.served)
	o.mutex.Unlock()
	for _, c := range all {
		if file := c.files[o.stream]; file != nil {
			if _, err := file.Write(data); err != nil {
				o.drop(c, err)
			}
		}
	}
	return len(data), nil
}

// Close ends the streams of all clients, and takes no more. It returns why some of the caller's
// output is lost, if that is not the wish of a reader that has closed a pipe.
func (h *Hub) Close() error {
	err := errors.Join(os.Remove(h.path), h.socket.Close())
	h.mutex.Lock()
	all := slices.Clone(h.served)
	h.mutex.Unlock()
	for _, c := range all {
		h.drop(c, nil)
	}
	return errors.Join(h.lost, err)
}

func (h *Hub) add(c *served) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.served = append(h.served, c)
}

// drop takes a client out, and closes its files.
func (h *Hub) drop(c *served, why error) {
	h.mutex.Lock()
	at := slices.Index(h.served, c)
	if at >= 0 {
		h.served = slices.Delete(slices.Clone(h.served), at, at+1)
	}
	if at >= 0 && c.broken != nil && why != nil && !errors.Is(why, unix.EPIPE) {
		h.lost = fmt.Errorf("%w: %w", ErrLost, why)
	}
	h.mutex.Unlock()
	if at < 0 {
		return
	}
	switch {
	case c.broken == nil:
		c.conn.Close()
	case errors.Is(why, unix.EPIPE):
		close(c.broken)
	}
	for _, file := range c.files {
		file.Close()
	}
}

// Once is a word that a client may add to the names of its streams.
const Once = "once"

// ErrLost means that some of the output is lost.
var ErrLost = errors.New("output is lost")

// accept serves the clients, until the socket is closed.
func (h *Hub) accept() {
	for {
		fd := -1
		err := onSocket(h.socket, func(socket int) (err error) {
			fd, _, err = unix.Accept4(socket, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			return err
		})
		if err != nil {
			return
		}
		go h.serve(os.NewFile(uintptr(fd), "client"))
	}
}

// onSocket makes a call on a socket when there is something to receive.
func onSocket(socket *os.File, call func(fd int) error) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Read(func(fd uintptr) bool {
		result = call(int(fd))
		return result != unix.EAGAIN && result != unix.EINTR
	})
	return errors.Join(result, err)
}

// receive receives a message. An empty one is the end.
func receive(socket *os.File) (text string, files []*os.File, err error) {
	data, control := make([]byte, 64), make([]byte, unix.CmsgSpace(3*4))
	var n, rights int
	err = onSocket(socket, func(fd int) (err error) {
		n, rights, _, _, err = unix.Recvmsg(fd, data, control, unix.MSG_CMSG_CLOEXEC)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	if n == 0 {
		return "", nil, io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(control[:rights])
	for _, message := range messages {
		fds, _ := unix.ParseUnixRights(&message)
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "stream"))
		}
	}
	return string(data[:n]), files, err
}

// serve answers a client. Its first message names its files, and has the size of its terminal if
// it has one; the others are sizes.
func (h *Hub) serve(conn *os.File) {
	text, files, err := receive(conn)
	c := &served{conn: conn, files: map[string]*os.File{}}
	for i, name := range strings.Fields(text) {
		if i < len(files) {
			c.files[name] = files[i]
		}
	}
	h.add(c)
	defer h.drop(c, nil)
	if err == nil {
		go h.feed(c.files["stdin"], text)
		_, err = conn.Write([]byte("attached"))
	}
	for err == nil {
		var size unix.Winsize
		if text, _, err = receive(conn); err == nil {
			fmt.Sscan(text, &size.Row, &size.Col)
			h.resize(&size)
		}
	}
}

// feed copies a client's input, if it has any, to the container, after the size of its terminal.
// The end of it is not that of the container's input, to which another client may type. A program
// that sees no change of the size would not draw its screen for a new client, so there is one.
// The end of the input of a client that asks for Once is that of the container's.
func (h *Hub) feed(from *os.File, hello string) {
	<-h.hasInput
	var size unix.Winsize
	last := hello[strings.LastIndexByte(hello, ' ')+1:]
	if n, _ := fmt.Sscanf(last, "%dx%d", &size.Row, &size.Col); n == 2 {
		h.resize(&unix.Winsize{Row: size.Row + 1, Col: size.Col + 1})
		h.resize(&size)
	}
	if from != nil && h.input != nil {
		io.Copy(struct{ io.Writer }{h.input}, from)
		if slices.Contains(strings.Fields(hello), Once) {
			h.input.Close() // a client that comes later has nowhere to type to
		}
	}
}

// resize gives the container's terminal a size.
func (h *Hub) resize(size *unix.Winsize) {
	<-h.hasInput
	if h.input != nil {
		if conn, err := h.input.SyscallConn(); err == nil { // Fd would make it wait, and its reader too
			conn.Control(func(fd uintptr) { unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) }) // a pipe has none
		}
	}
}

// Silence lets a descriptor refer to /dev/null.
func Silence(fd int) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return os.NewSyscallError("dup2", unix.Dup2(int(null.Fd()), fd))
}
