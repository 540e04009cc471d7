// box attach joins those who look at a running container: it shows what the container prints from
// now on, and passes on what is typed.

package main

import (
	"errors"
	"fmt"
	"time"

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
		return r.notRunning()
	}
	if err := r.rejectPaused(); err != nil {
		return err
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
	if errors.Is(err, unix.ENOENT) && r.Run.Rm && !r.Run.Detach {
		return fmt.Errorf("container %s was started with --rm and without -d: it prints to its caller alone", r.Name)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) { // it is just ending
		return r.notRunning()
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
	status, err := r.waitForRun(wait)
	if err != nil {
		return err
	}
	return plan.ExitStatus(status)
}

// waitForRun waits for the end of this run of the container; wait does so for that of the last one.
func (r *Record) waitForRun(wait func() (int, error)) (status int, err error) {
	for r.Run.Restart != "" {
		now, err := r.store.known(r.ID)
		if err != nil || !now.isLive() {
			break
		}
		if now.State.Status == "restarting" || now.State.RestartCount != r.State.RestartCount {
			return now.State.ExitCode, nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return wait()
}
