// box stays in the foreground beside its container: it passes signals on, stops and goes
// on with it as a shell expects (signal(7), credentials(7) on process groups), and ends
// with its exit status. The process stays in box's process group, so that a pipeline, the
// terminal and Ctrl-C reach it as they reach any command.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"strconv"

	"golang.org/x/sys/unix"
)

// exitStatus is how the container's command ended; 128+n when signal n ended it.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// wait stays with the process until its end and returns its exitStatus. The runtime takes
// a millisecond to prepare for the signals, so that is done beside; until then they end
// box, and the kernel ends the container with it.
func (c *Process) wait() error {
	tty := openTerminal()
	signals := make(chan os.Signal, 32)
	go func() {
		signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM,
			unix.SIGTERM, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH)
		for s := range signals {
			c.pass(s.(unix.Signal), tty)
		}
	}()
	status, err := reap(c.pid)
	tty.takeBack()
	switch {
	case err != nil:
		return fmt.Errorf("wait4(%d): %w", c.pid, err)
	case !status.Signaled():
		return exitStatus(status.ExitStatus())
	case c.ended.Load() != 0:
		return exitStatus(128 + c.ended.Load())
	}
	return exitStatus(128 + int(status.Signal()))
}

// pass hands a signal that box was sent to the process.
func (c *Process) pass(s unix.Signal, tty terminal) {
	switch s {
	case unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		unix.Kill(c.pid, unix.SIGSTOP)
		unix.Kill(os.Getpid(), unix.SIGSTOP) // until the shell says fg or bg
	default:
		switch {
		case c.dropped(s):
			c.ended.Store(int32(s))
			unix.Kill(c.pid, unix.SIGKILL)
		case !tty.sent(s, c.pid):
			unix.Kill(c.pid, s)
		}
	}
}

// dropped tells whether the kernel would keep a deadly signal from the process: as PID 1
// of its namespace it gets no signal that it has no handler for (pid_namespaces(7)). Any
// other process would end, and so shall this one.
func (c *Process) dropped(s unix.Signal) bool {
	if c.plan.clone.flags&unix.CLONE_NEWPID == 0 || s == unix.SIGCONT || s == unix.SIGWINCH {
		return false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid))
	return err == nil && !hasSignal(status, "SigCgt", s) && !hasSignal(status, "SigIgn", s)
}

// hasSignal reads a line of /proc/PID/status such as "SigCgt:\t0000000000004002".
func hasSignal(status []byte, field string, s unix.Signal) bool {
	_, rest, _ := bytes.Cut(status, []byte("\n"+field+":\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	mask, err := strconv.ParseUint(string(line), 16, 64)
	return err == nil && mask>>(s-1)&1 == 1
}

// terminal is the controlling terminal, or -1.
type terminal struct {
	fd         int
	foreground bool // box's process group had it in the beginning
}

func openTerminal() terminal {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return terminal{fd: -1}
	}
	return terminal{fd, terminal{fd: fd}.group() == unix.Getpgrp()}
}

// group is the foreground process group.
func (t terminal) group() int {
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return -1
	}
	return group
}

// sent tells whether the terminal has sent a signal to the process too, as it does to all
// of the foreground group for Ctrl-C, Ctrl-\ and a change of size: once is enough.
func (t terminal) sent(s unix.Signal, pid int) bool {
	group, err := unix.Getpgid(pid)
	return err == nil && (s == unix.SIGINT || s == unix.SIGQUIT || s == unix.SIGWINCH) &&
		group == unix.Getpgrp() && group == t.group()
}

// takeBack makes box's group the foreground again, when a shell in the container had made
// its own so.
func (t terminal) takeBack() {
	if t.foreground && t.group() != unix.Getpgrp() {
		signal.Ignore(unix.SIGTTOU) // which asking from the background brings
		unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, unix.Getpgrp())
	}
}
