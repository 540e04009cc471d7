package attach

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Client is a connection to a Hub. The streams that were not asked for are nil.
type Client struct {
	conn *os.File

	Stdin          *os.File // to write to
	Stdout, Stderr *os.File // to read from
}

// Dial attaches to the container whose hub listens in a directory, through pipes. The container's
// terminal gets the size, unless it is nil, before anything that is typed. The last of the streams
// may be Once. A hub that is closed meanwhile is ECONNREFUSED, as one that was closed before.
func Dial(dir string, size *unix.Winsize, streams ...string) (c *Client, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c = &Client{conn: os.NewFile(uintptr(fd), "hub")}
	if err = withAddress(dir, func(to unix.Sockaddr) error { return unix.Connect(fd, to) }); err == nil {
		err = c.hello(fd, size, streams)
	}
	if errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) || errors.Is(err, io.EOF) {
		err = unix.ECONNREFUSED
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect %s/attach: %w", dir, err), c.Close())
	}
	return c, nil
}

// hello sends the hub's ends of the pipes, and waits for its answer.
func (c *Client) hello(fd int, size *unix.Winsize, streams []string) error {
	var theirs []int
	defer func() {
		for _, end := range theirs {
			unix.Close(end)
		}
	}()
	for _, stream := range streams {
		if stream == Once {
			continue
		}
		end, err := c.pipe(stream)
		if err != nil {
			return err
		}
		theirs = append(theirs, end)
	}
	text := strings.Join(streams, " ")
	if size != nil {
		text += fmt.Sprintf(" %dx%d", size.Row, size.Col)
	}
	if err := unix.Sendmsg(fd, []byte(text), unix.UnixRights(theirs...), nil, 0); err != nil {
		return os.NewSyscallError("sendmsg", err)
	}
	if _, err := c.conn.Read(make([]byte, 16)); err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	return nil
}

// buffer is how much a client may be behind before the container has to wait, as in Docker.
const buffer = 1 << 20

// pipe makes the pipe of a stream, keeps one end, and returns the hub's. Neither blocks, so that
// closing it ends a call that waits.
func (c *Client) pipe(stream string) (theirs int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return 0, os.NewSyscallError("pipe2", err)
	}
	unix.FcntlInt(uintptr(ends[0]), unix.F_SETPIPE_SZ, buffer) // 64 KiB where that is forbidden
	read, write := os.NewFile(uintptr(ends[0]), stream), os.NewFile(uintptr(ends[1]), stream)
	switch stream {
	case "stdin":
		c.Stdin = write
		return dup(read)
	case "stdout":
		c.Stdout = read
	default:
		c.Stderr = read
	}
	return dup(write)
}

// dup replaces a file by a plain descriptor.
func dup(file *os.File) (int, error) {
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var fd int
	errControl := raw.Control(func(own uintptr) {
		fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(err, errControl)
}

// Resize gives the container's terminal a size.
func (c *Client) Resize(rows, columns uint16) error {
	_, err := fmt.Fprint(c.conn, rows, " ", columns)
	return err
}

// ResizeAndClose gives the container's terminal a size, and detaches when it has it: the hub closes
// its end of the connection after the last message that it has dealt with.
func (c *Client) ResizeAndClose(rows, columns uint16) error {
	err := c.Resize(rows, columns)
	if err == nil {
		err = os.NewSyscallError("shutdown", unix.Shutdown(int(c.conn.Fd()), unix.SHUT_WR))
	}
	if err == nil {
		if _, err = c.conn.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return errors.Join(err, c.Close())
}

// Close detaches.
func (c *Client) Close() error {
	err := c.conn.Close()
	for _, file := range []io.Closer{c.Stdin, c.Stdout, c.Stderr} {
		file.Close() // those that are nil say so
	}
	return err
}
