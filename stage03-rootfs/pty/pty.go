// Package pty is the host's side of a container's terminal (pty(7), ioctl_tty(2)): it takes the
// master of the pair from the container, and copies between it and the caller's terminal; a daemon,
// which has no terminal, makes one (Open). The lesson reads Receive and Terminal.Serve.
package pty

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"stagebox/stage01-namespaces/plan"
)

// Terminal says how a container's terminal is shown and typed to.
type Terminal struct {
	Output *os.File      // where what it shows goes
	Typed  bool          // what is typed on standard input is passed on
	Broken chan struct{} // closed when Output is a pipe that is not read any more; it may be nil

	// Input passes on what is typed, instead of Serve. It may give the caller's terminal back.
	Input func(master io.Writer, restore func())
}

// SizesVariable is the environment variable that may have the number of an open file: Serve writes
// there each size that the container's terminal has got, as two numbers in a line.
const SizesVariable = "BOX_SIZES"

// Serve copies between the caller's terminal and the master of a pair, and gives the latter the
// size of standard output whenever that changes. end waits for the last output, and leaves the
// caller's terminal as it was.
func (t Terminal) Serve(master *os.File) (end func(), err error) {
	sizes := make(chan os.Signal, 1)
	signal.Notify(sizes, unix.SIGWINCH)
	go follow(master, sizes, reported())
	restore := func() {}
	if t.Typed {
		state, err := term.MakeRaw(0) // every key is passed on, Ctrl-C too
		if err != nil {
			return nil, fmt.Errorf("raw mode of the terminal: %w", err)
		}
		restore = func() { term.Restore(0, state) }
		if t.Input == nil {
			t.Input = func(io.Writer, func()) { io.Copy(master, os.Stdin) }
		}
		go t.Input(master, restore)
	}
	done := make(chan struct{})
	go func() {
		// It ends with EIO when no process has the slave open any more.
		if _, err := io.Copy(t.Output, master); errors.Is(err, unix.EPIPE) && t.Broken != nil {
			close(t.Broken)
		}

		// If it ended with another error (a full disk), the container still goes on.
		io.Copy(io.Discard, master)
		close(done)
	}()
	return func() {
		master.SetReadDeadline(time.Now()) // other processes may keep the slave open
		<-done
		io.CopyN(t.Output, lastOutput{master}, 1<<16) // more than a terminal holds
		restore()
	}, nil
}

// lastOutput reads what a terminal holds, and does not wait for more. What its processes have
// written before is there: the kernel moves it to the reader's end first (n_tty_read).
type lastOutput struct{ *os.File }

func (o lastOutput) Read(p []byte) (n int, err error) {
	conn, err := o.SyscallConn()
	if err == nil {
		conn.Control(func(fd uintptr) { n, err = unix.Read(int(fd), p) })
	}
	if n <= 0 {
		return 0, io.EOF
	}
	return n, err
}

// follow gives the container's terminal the size of the caller's, whenever it changes.
func follow(master *os.File, sizes chan os.Signal, report io.Writer) {
	conn, err := master.SyscallConn() // Fd would make the file wait again
	for ; err == nil; <-sizes {
		if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil {
			conn.Control(func(fd uintptr) { unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
			fmt.Fprintln(report, size.Row, size.Col) // it may not be read any more
		}
	}
}

// reported is the file for SizesVariable.
func reported() io.Writer {
	fd, err := strconv.Atoi(os.Getenv(SizesVariable))
	if err != nil {
		return io.Discard
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), SizesVariable)
}

// Receive takes the master of a pair from the first end of a socket pair (SCM_RIGHTS, unix(7)),
// and closes both ends; the sender has its own second one.
func Receive(ends [2]int32) (*os.File, error) {
	unix.Close(int(ends[1]))
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(ends[0]), make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("recvmsg: the container's terminal: %w", err)
	}
	unix.Close(int(ends[0]))
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) == 0 {
		return nil, fmt.Errorf("recvmsg: the container sent no terminal: %v", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, fmt.Errorf("recvmsg: the container's terminal: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // or its reader cannot be stopped
		return nil, fmt.Errorf("fcntl: the container's terminal: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "/dev/ptmx"), nil
}

// SizeArg is struct winsize in strace's notation.
func SizeArg(w *unix.Winsize) plan.Arg {
	return plan.Ptr(unsafe.Pointer(w),
		fmt.Sprintf("{ws_row=%d, ws_col=%d, ws_xpixel=%d, ws_ypixel=%d}",
			w.Row, w.Col, w.Xpixel, w.Ypixel))
}

// Open makes a pair in the host's own /dev/pts.
func Open() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	raw, err := master.SyscallConn()
	number := 0
	if err == nil {
		errControl := raw.Control(func(fd uintptr) {
			if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
				number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
			}
		})
		err = errors.Join(err, errControl)
	}
	if err == nil {
		slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	return master, slave, nil
}

// SetSize gives a terminal a size.
func SetSize(terminal *os.File, size *unix.Winsize) error {
	raw, err := terminal.SyscallConn()
	if err != nil {
		return err
	}
	errControl := raw.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size)
	})
	return errors.Join(err, errControl)
}
