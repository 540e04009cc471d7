// box stays in the foreground beside its container: it passes signals on, stops and goes
// on with it as a shell expects (signal(7), credentials(7) on process groups), and ends
// with its exit status. At a terminal the container gets a process group of its own in
// the foreground, as a shell's job, and box joins it there, so that Ctrl-C reaches both.
// In a pipeline the process stays in the group of all the others.

package plan

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ExitStatus is how the process ended: its exit status, or 128+n when signal n killed it.
// It is an error so that it can be returned as one; 0 is success.
type ExitStatus int

func (e ExitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// forward passes signals on to the process as soon as there is one. The runtime takes half
// a millisecond to prepare for that, so it does it during the first calls: afterwards, it
// would delay every container.
func (c *Process) forward() {
	// A write to a closed pipe fails instead of ending box, which has to clean up first.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	signals := make(chan os.Signal, 32)
	signal.Notify(signals, notIgnored(passedOn...)...)
	close(c.listening)
	<-c.pidKnown
	for s := range signals {
		c.pass(s.(unix.Signal), c.plan.tty)
	}
}

// passedOn are the signals that forward passes on.
var passedOn = []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
	unix.SIGALRM, unix.SIGTERM, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU,
	unix.SIGWINCH}

// notIgnored leaves out the signals that box was started to ignore: SIGHUP by nohup(1), SIGINT by
// a shell for what runs in the background. They stay ignored, inside too.
func notIgnored(list ...os.Signal) []os.Signal {
	return slices.DeleteFunc(slices.Clone(list), signal.Ignored)
}

// Wait waits for the process to end, passing signals on meanwhile, and returns its
// ExitStatus. Start and Wait belong to the same goroutine.
func (c *Process) Wait() error {
	tty := c.plan.tty
	go c.watchOutput()
	status, err := c.reap()
	if err != nil {
		return fmt.Errorf("wait4(%d): %w", c.PID, err)
	}
	if !status.Signaled() {
		return ExitStatus(status.ExitStatus())
	}
	ended := status.Signal()
	if n := c.ended.Load(); n != 0 {
		ended = unix.Signal(n)
	}
	tty.signalGroup(ended)
	return ExitStatus(128 + int(ended))
}

// pass hands a signal that box has received to the process, as long as there is one.
func (c *Process) pass(s unix.Signal, tty terminal) {
	c.passing.Lock()
	defer c.passing.Unlock()
	if c.reaped {
		return
	}
	switch s {
	case unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		c.stop(tty)
	default:
		switch {
		case c.ignoredAsInit(s):
			c.ended.Store(int32(s))
			unix.Kill(c.PID, unix.SIGKILL)
		case !tty.sentByTerminal(s, c.PID):
			unix.Kill(c.PID, s)
		}
	}
}

// stop stops the process and box, until the shell's fg or bg. The shell knows box by the
// process group that it started it in.
func (c *Process) stop(tty terminal) {
	unix.Kill(c.PID, unix.SIGSTOP)
	if tty.ours {
		unix.Setpgid(0, tty.group)
	}
	runtime.LockOSThread()
	unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP) // to this thread: it stops here
	runtime.UnlockOSThread()
	if !tty.ours {
		return // the group gets the shell's SIGCONT
	}
	if tty.foreground() == tty.group {
		unix.IoctlSetPointerInt(tty.fd, unix.TIOCSPGRP, c.PID)
		unix.Setpgid(0, c.PID)
	}
	unix.Kill(-c.PID, unix.SIGCONT)
}

// ignoredAsInit reports whether the kernel would keep a deadly signal from the process: as
// PID 1 of its namespace it gets no signal that it has no handler for (pid_namespaces(7)).
// Any other process would end, so box kills this one.
func (c *Process) ignoredAsInit(s unix.Signal) bool {
	if c.plan.hasInit() || c.plan.Clone.Flags&unix.CLONE_NEWPID == 0 ||
		s == unix.SIGCONT || s == unix.SIGWINCH {
		return false
	}
	return Unhandled(c.PID, s)
}

// Unhandled reports whether a process has no handler for a signal, and neither ignores nor
// blocks it (SigCgt, SigIgn and SigBlk of /proc/PID/status, proc(5)). One that blocks a signal
// may wait for it with sigwait(3) or signalfd(2). But a shell blocks them all while it makes a
// process, and as PID 1 it would lose the signal at the end of that: so a blocked one is looked
// at again, for a fifth of a second.
func Unhandled(pid int, s unix.Signal) bool {
	for range 100 {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil || hasSignal(status, "SigCgt", s) || hasSignal(status, "SigIgn", s) {
			return false
		}
		if !hasSignal(status, "SigBlk", s) {
			return true
		}
		time.Sleep(2 * time.Millisecond)
	}
	return false
}

// hasSignal reads a line of /proc/PID/status such as "SigCgt:\t0000000000004002".
func hasSignal(status []byte, field string, s unix.Signal) bool {
	_, rest, _ := bytes.Cut(status, []byte("\n"+field+":\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	mask, err := strconv.ParseUint(string(line), 16, 64)
	return err == nil && mask>>(s-1)&1 == 1
}

// watchOutput ends the process with SIGPIPE when its output is read no longer, as `| head -1`
// ends any filter. The kernel does that itself, but not for PID 1, which would get EPIPE for
// each line that it prints. Where the caller copies the output, it says so through Broken.
func (c *Process) watchOutput() {
	if c.plan.Broken != nil {
		<-c.plan.Broken
		c.pass(unix.SIGPIPE, c.plan.tty)
		return
	}
	if !c.outputBreaks() {
		return
	}
	before := c.writes()
	for pause := time.Millisecond; !c.hasEnded(); pause = min(2*pause, 100*time.Millisecond) {
		if c.writes() > before && c.ignoredAsInit(unix.SIGPIPE) {
			c.pass(unix.SIGPIPE, c.plan.tty)
			return
		}
		time.Sleep(pause)
	}
}

// outputBreaks waits until no process has the other end of standard output open, if that is a
// pipe of the caller's. It reports false when the process has ended before.
func (c *Process) outputBreaks() bool {
	var ours, its unix.Stat_t
	if unix.Fstat(1, &ours) != nil || ours.Mode&unix.S_IFMT != unix.S_IFIFO ||
		unix.Stat(fmt.Sprintf("/proc/%d/fd/1", c.PID), &its) != nil || its.Ino != ours.Ino {
		return false
	}
	process, err := unix.PidfdOpen(c.PID, 0)
	if err != nil {
		return false
	}
	defer unix.Close(process)
	ends := []unix.PollFd{{Fd: 1}, {Fd: int32(process), Events: unix.POLLIN}}
	for err = unix.EINTR; err == unix.EINTR; {
		_, err = unix.Poll(ends, -1)
	}
	return err == nil && ends[1].Revents == 0 && ends[0].Revents&unix.POLLERR != 0
}

// OutputIsClosed reports whether standard output or error is a pipe that no process reads.
func OutputIsClosed() bool {
	ends := []unix.PollFd{{Fd: 1}, {Fd: 2}}
	unix.Poll(ends, 0)
	return (ends[0].Revents|ends[1].Revents)&unix.POLLERR != 0
}

// writes is how often the process has called write(2), successfully or not.
func (c *Process) writes() (calls int64) {
	file, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", c.PID))
	_, rest, _ := bytes.Cut(file, []byte("syscw: "))
	fmt.Sscan(string(rest), &calls)
	return calls
}

func (c *Process) hasEnded() bool {
	c.passing.Lock()
	defer c.passing.Unlock()
	return c.reaped
}

// terminal is the controlling terminal, or none with -1.
type terminal struct {
	fd    int
	group int  // the process group that box was started in
	ours  bool // box has it to itself: reads from it, writes to it, is in the foreground
}

func openTerminal() terminal {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return terminal{fd: -1}
	}
	t := terminal{fd: fd, group: unix.Getpgrp()}
	session, err := unix.Getsid(0)
	t.ours = err == nil && session != os.Getpid() && // the leader of a session stays in its group
		isTerminal(0) && isTerminal(1) && t.foreground() == t.group
	return t
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// foreground is the process group that reads what is typed, and that keys like Ctrl-C
// send a signal to.
func (t terminal) foreground() int {
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return -1
	}
	return group
}

// takeTerminal has the host give the process a group of its own, put it in the foreground
// and join it. A shell inside could not take a terminal from a group that it cannot see.
func (p *Plan) takeTerminal() {
	p.WhileHeld(func(h *Plan, pid string) {
		n, _ := strconv.Atoi(pid) // no number in a list that is only printed
		group := Arg{value: uintptr(n), text: pid}
		h.Add("setpgid", unix.SYS_SETPGID, group, group).
			Why("a process group of its own, as a shell's job has")
		h.Add("ioctl", unix.SYS_IOCTL, p.tty.fd, Sym(unix.TIOCSPGRP, "TIOCSPGRP"),
			Ptr(unsafe.Pointer(&[]int32{int32(n)}[0]), "["+pid+"]")).
			Why("what is typed goes to the container")
		h.Add("setpgid", unix.SYS_SETPGID, 0, group).Why("and Ctrl-C reaches the parent too")
	})
}

// sentByTerminal reports whether the terminal has sent the signal to the process too, as it
// does to the whole foreground group for Ctrl-C, Ctrl-\ and a change of size: once is enough.
func (t terminal) sentByTerminal(s unix.Signal, pid int) bool {
	group, err := unix.Getpgid(pid)
	return err == nil && (s == unix.SIGINT || s == unix.SIGQUIT || s == unix.SIGWINCH) &&
		group == unix.Getpgrp() && group == t.foreground()
}

// hasInit reports whether PID 1 is the parent of the process that becomes the program: then
// it takes every signal, and passes it down.
func (p *Plan) hasInit() bool {
	return slices.ContainsFunc(p.Calls, func(c *Call) bool { return c.parent != nil })
}

// DetachTerminal keeps the process off the caller's terminal.
func (p *Plan) DetachTerminal() {
	if p.tty.fd >= 0 {
		unix.Close(p.tty.fd)
	}
	p.tty = terminal{fd: -1}
}

// RestoreTerminal gives the terminal back to the process group that had it before Start.
func (p *Plan) RestoreTerminal() { p.tty.restore() }

// restore gives the terminal back to the group that had it at first.
func (t terminal) restore() {
	if t.ours {
		signal.Ignore(unix.SIGTTOU) // which asking from the background brings
		unix.Setpgid(0, t.group)
		unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, t.group)
	}
}

// signalGroup sends the signal of a key that ended the container to the group that box was
// started in, where the terminal would have sent it: a script that box is part of ends.
func (t terminal) signalGroup(s unix.Signal) {
	if t.ours && (s == unix.SIGINT || s == unix.SIGQUIT) {
		t.restore()
		signal.Reset(s)
		unix.Kill(0, s)
	}
}
