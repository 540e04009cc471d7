// box attach joins those who look at a running container: it shows what the container prints from
// now on, and passes on what is typed.

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/attach"
)

type attachCmd struct {
	oneContainer

	attachOptions
}

type attachOptions struct {
	DetachKeys string `help:"Key sequence that detaches you from the container and leaves it running." default:"ctrl-p,ctrl-q" placeholder:"KEYS"`
	NoStdin    bool   `help:"Do not connect standard input."`
	SigProxy   bool   `help:"Forward signals to a container without a terminal." default:"true" negatable:""`
}

// Run is `box attach`.
func (c *attachCmd) Run() error {
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	if !r.isRunning() {
		return fmt.Errorf("container %s does not run: box start -a %s starts it", r.Name, r.Name)
	}
	if r.isPaused() {
		return fmt.Errorf("container %s is paused: box unpause %s resumes it", r.Name, r.Name)
	}
	if err = r.attach(c.attachOptions); err == attach.ErrDetached {
		return plan.ExitStatus(attach.PrintLeft())
	}
	return err
}

// attach shows what the container prints until it ends, and returns its exit status.
func (r *Record) attach(c attachOptions) error {
	keys, err := attach.LeaveOptions{DetachKeys: c.DetachKeys}.Keys()
	if err != nil {
		return err
	}
	typed := r.Run.Interactive && !c.NoStdin
	if typed && r.Run.TTY && !term.IsTerminal(0) {
		return fmt.Errorf("container %s has a terminal, and standard input is not one: add --no-stdin", r.Name)
	}
	wait, err := r.watchEnd()
	if err != nil {
		return err
	}
	streams := []string{"stdout", "stderr"}
	if typed {
		streams = append(streams, "stdin")
	}
	var size *unix.Winsize
	if r.Run.TTY {
		size, _ = unix.IoctlGetWinsize(1, unix.TIOCGWINSZ) // nil where there is no terminal
	}
	client, err := attach.Dial(r.path(), size, streams...)
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("container %s was started with --rm and without -d: it prints to its caller alone", r.Name)
	}
	if err != nil {
		return fmt.Errorf("container %s: %w", r.Name, err)
	}
	defer client.Close()
	v := attach.Visit{Client: client, TTY: r.Run.TTY, Typed: typed, Proxy: c.SigProxy, Keys: keys,
		Signal: r.signal, Unhandled: func(s unix.Signal) bool { return !r.Run.Init && plan.Unhandled(r.State.PID, s) }}
	if err := v.Show(); err != nil {
		return err
	}
	status, err := wait()
	if err != nil {
		return err
	}
	return plan.ExitStatus(status)
}
