package attach

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"stagebox/stage01-namespaces/plan"
)

// LeaveOptions are for a command at a terminal in which keys can be typed to leave a container.
type LeaveOptions struct {
	DetachKeys string `help:"Key sequence that detaches you from a container with -i and -t (default: ctrl-p,ctrl-q). Not for containers run with --rm." placeholder:"KEYS" group:"Terminal:"`
	Detachable bool   `hidden:"" help:"Internal: the process that stays with the container or command."`
}

// CanDetach reports whether the detach keys can be typed, given whether the container has a terminal
// and gets what is typed, and no second process is there for them yet (RunDetachable).
func (c *LeaveOptions) CanDetach(tty, typed bool) bool {
	return tty && typed && term.IsTerminal(0) && !c.Detachable
}

// Keys are those that are typed to leave.
func (c LeaveOptions) Keys() (Keys, error) {
	keys, err := ParseKeys(cmp.Or(c.DetachKeys, "ctrl-p,ctrl-q"))
	if err != nil {
		err = fmt.Errorf("--detach-keys %w", err)
	}
	return keys, err
}

// Input returns a function that passes on what is typed until it ends, or the keys are typed: then
// it calls restore, which leaves the terminal as it was, and end, which ends what else serves the
// caller and returns the status for it.
func (c *LeaveOptions) Input(end func() (status byte)) (func(to io.Writer, restore func()), error) {
	keys, err := c.Keys()
	if err != nil {
		return nil, err
	}
	if !c.Detachable {
		return func(to io.Writer, _ func()) { io.Copy(to, os.Stdin) }, nil
	}
	back := newBack()
	return func(to io.Writer, restore func()) {
		if keys.Copy(to, os.Stdin) != ErrDetached {
			return
		}
		restore()
		if err := back.Leave(end()); err != nil {
			fmt.Fprintln(os.Stderr, "box:", err)
		}
	}, nil
}

// PrintLeft answers the keys as Docker does in attach and exec.
func PrintLeft() (status byte) {
	fmt.Fprintln(os.Stderr, ErrDetached)
	return 1
}

// detachableFlag is the flag after the verb by which a program knows that RunDetachable runs it.
const detachableFlag = "--detachable"

// RunDetachable runs this program again, with the same files, and waits for it. The second process
// stays with the container until its end. The first, for which the caller's shell waits, can end
// earlier: RunDetachable returns when the second one ends or leaves the terminal (Back.Leave), with
// its exit status. The first of args is the verb.
func RunDetachable(args []string) error {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "back"), os.NewFile(uintptr(ends[1]), "front")
	back := exec.Command("/proc/self/exe", append([]string{args[0], detachableFlag}, args[1:]...)...)
	back.Stdin, back.Stdout, back.Stderr = os.Stdin, os.Stdout, os.Stderr
	back.ExtraFiles = []*os.File{theirs}
	if err := errors.Join(back.Start(), theirs.Close()); err != nil {
		return fmt.Errorf("the process that stays with the container: %w", err)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM,
		unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)
	go func() {
		for s := range signals {
			back.Process.Signal(s)
		}
	}()
	left := make([]byte, 1)
	if n, _ := ours.Read(left); n == 1 {
		return plan.ExitStatus(left[0])
	}
	var exit *exec.ExitError
	if err := back.Wait(); !errors.As(err, &exit) {
		return cmp.Or(err, error(plan.ExitStatus(0)))
	}
	if exit.Exited() {
		return plan.ExitStatus(exit.ExitCode())
	}
	return plan.ExitStatus(128 + int(exit.Sys().(syscall.WaitStatus).Signal()))
}

// Back is the process that RunDetachable starts, and its connection to the first one.
type Back struct {
	front *os.File
	left  atomic.Bool
}

// newBack takes over the connection. If the first process is killed, this one kills itself.
func newBack() *Back {
	b := &Back{front: os.NewFile(3, "front")}
	unix.CloseOnExec(3)
	go func() {
		if _, err := b.front.Read(make([]byte, 1)); err == io.EOF && !b.left.Load() {
			unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	}()
	return b
}

// Leave gives the terminal back to the caller, with an exit status for the first process, and has a
// session of its own from then on. Its later output, errors too, is lost.
func (b *Back) Leave(status byte) error {
	b.left.Store(true)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for fd := range 3 {
		err = errors.Join(err, os.NewSyscallError("dup2", unix.Dup2(int(null.Fd()), fd)))
	}
	_, errSession := unix.Setsid()
	_, errWrite := b.front.Write([]byte{status})
	return errors.Join(err, os.NewSyscallError("setsid", errSession), errWrite)
}
