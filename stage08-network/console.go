// A terminal of the container's own (pty(7), pts(4), ioctl_tty(2)). The process opens a new
// pair of its own devpts and sends the master to box over a socket (unix(7), SCM_RIGHTS). The
// process reads from and writes to the slave. box then copies what is typed to the master, and
// the master's output to the screen.

package main

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/pty"
)

// console is the host's side of that terminal; nil for a container without one.
type console struct {
	pty.Terminal
	ends  [2]int32 // of a socket pair: box's and the process's
	size  unix.Winsize
	slave plan.Arg

	opened func(*os.File)
}

// stdio decides what the container reads from and writes to. One without a terminal of its own at
// least loses the caller's, into which it could type commands (ioctl_tty(2), TIOCSTI).
func stdio(c *Container, p *Plan) error {
	if c.Rootfs == "" {
		return nil
	}
	p.DetachTerminal()
	if !c.TTY {
		return nil
	}
	typed := c.Interactive && !c.Detach && !c.noInput
	if typed && !term.IsTerminal(0) {
		return errors.New("--tty with --interactive needs a terminal to read from, " +
			"and standard input is not one: leave one of the two out")
	}
	p.console = &console{Terminal: pty.Terminal{Output: os.Stdout, Typed: typed}}
	p.console.redirect(p)
	if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil {
		p.console.size = *size
	}
	return nil
}

// openConsole gives the container a terminal, and /dev/console. -v may have mounted another /dev.
func (r *newRoot) openConsole(owner int) {
	slave := r.openPair(owner)
	mount := r.CopyMount(slave, "").Result()
	r.Mknod(plan.Cwd, "/dev/console", unix.S_IFREG|0o620, 0, 0).Tolerate(unix.EEXIST)
	r.Attach(mount, plan.Cwd, "/dev/console").Why("/dev/console is this terminal too")
}

// openPair has the process make the pair and send its master's end.
func (p *Plan) openPair(owner int) (slave plan.Arg) {
	c := p.console
	sender := plan.Pending("CONSOLE")
	pair := p.before.Add("socketpair", unix.SYS_SOCKETPAIR, plan.Sym(unix.AF_UNIX, "AF_UNIX"),
		plan.Sym(unix.SOCK_STREAM|unix.SOCK_CLOEXEC, "SOCK_STREAM|SOCK_CLOEXEC"), 0,
		plan.Ptr(unsafe.Pointer(&c.ends), "[MASTER, CONSOLE]")).
		Why("for the terminal to come through")
	pair.Then(func() {
		sender.Set(uintptr(c.ends[1]))
		pair.SetText(3, fmt.Sprintf("[%d, %d]", c.ends[0], c.ends[1]))
	})
	master := p.Open(plan.Cwd, "/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY).
		Why("a new terminal: the end that the host will hold").
		Look("ls /proc/PID/root/dev/pts").Result()
	p.Ioctl(master, unix.TIOCSPTLCK, "TIOCSPTLCK", plan.Ptr(unsafe.Pointer(new(int32)), "[0]"))
	slave = p.Ioctl(master, unix.TIOCGPTPEER, "TIOCGPTPEER",
		plan.Sym(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, "O_RDWR|O_NOCTTY|O_CLOEXEC")).
		Why("and the end that the program will see").Result()
	p.Ioctl(slave, unix.TIOCSWINSZ, "TIOCSWINSZ", pty.SizeArg(&c.size))
	p.Add("fchown", unix.SYS_FCHOWN, slave, owner, -1).Why("it belongs to the user inside")
	const fixed = 0 // a number known in advance, for the message; the slave goes there at the end
	p.Dup3(master, fixed, true)
	p.SendFile(sender.Arg(), fixed)
	c.slave = slave
	return slave
}

// session leaves the caller's terminal, and makes the new one, if there is one, the
// process's own, and its three standard files.
func (c *Container) session(p *Plan) {
	if c.Rootfs == "" {
		return
	}
	p.Add("setsid", unix.SYS_SETSID).Why("a session of its own, away from the caller's terminal")
	for fd, from := range p.stdio {
		if from != 0 {
			p.Dup3(plan.Num(from), fd, false).Why("what it prints goes into its log")
		}
	}
	if p.console == nil {
		return
	}
	p.Ioctl(p.console.slave, unix.TIOCSCTTY, "TIOCSCTTY", plan.Num(0)).Why("whose terminal this is")
	for fd := range 3 {
		p.Dup3(p.console.slave, fd, false)
	}
}

// serve copies between the caller's terminal and the container's. The function that it
// returns waits for the last output, and leaves the caller's terminal as it was.
func (c *console) serve() (end func(), err error) {
	if c == nil {
		return func() {}, nil
	}
	master, err := pty.Receive(c.ends)
	if err != nil {
		return nil, err
	}
	c.opened(master)
	return c.Serve(master)
}

// Open is openat(2) for reading and writing.
func (p *Plan) Open(dir plan.Arg, path string, flags uint64) *plan.Call {
	flags |= unix.O_CLOEXEC
	return p.Add("openat", unix.SYS_OPENAT, dir, path, plan.Bits(flags, plan.OpenFlags))
}

// Ioctl is ioctl(2).
func (p *Plan) Ioctl(fd plan.Arg, request uintptr, name string, arg plan.Arg) *plan.Call {
	return p.Add("ioctl", unix.SYS_IOCTL, fd, plan.Sym(request, name), arg)
}

// Dup3 is dup3(2).
func (p *Plan) Dup3(fd plan.Arg, to int, cloexec bool) *plan.Call {
	flags := plan.Num(0)
	if cloexec {
		flags = plan.Sym(unix.O_CLOEXEC, "O_CLOEXEC")
	}
	return p.Add("dup3", unix.SYS_DUP3, fd, to, flags)
}

// SendFile is sendmsg(2) of an open file (SCM_RIGHTS of unix(7)).
func (p *Plan) SendFile(socket plan.Arg, fd int) *plan.Call {
	rights := unix.UnixRights(fd)
	vector := &unix.Iovec{Base: &[]byte("t")[0], Len: 1}
	message := &unix.Msghdr{Iov: vector, Iovlen: 1,
		Control: &rights[0], Controllen: uint64(len(rights))}
	text := fmt.Sprintf("{msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"t\", iov_len=1}], "+
		"msg_iovlen=1, msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, "+
		"cmsg_data=[%d]}], msg_controllen=%d, msg_flags=0}", fd, len(rights))
	return p.Add("sendmsg", unix.SYS_SENDMSG, socket,
		plan.Ptr(unsafe.Pointer(message), text), 0).Expect(1)
}
