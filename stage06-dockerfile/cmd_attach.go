// box attach joins those who look at a running container: it shows what the container prints from
// now on, and passes on what is typed.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
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
	client, err := r.dial(typed)
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

// dial connects to the box that stays with the container. Words are for the container's input.
func (r *Record) dial(typed bool, words ...string) (*attach.Client, error) {
	streams := []string{"stdout", "stderr"}
	if typed {
		streams = append(append(streams, "stdin"), words...)
	}
	var size *unix.Winsize
	if r.Run.TTY {
		size, _ = unix.IoctlGetWinsize(1, unix.TIOCGWINSZ) // nil where there is no terminal
	}
	return attach.Dial(r.path(), size, streams...)
}

// runsApart reports whether --sig-proxy=false is given to run, and of use there.
func (c *Container) runsApart() bool {
	return c.SigProxy != nil && !*c.SigProxy && !c.Detach && !c.DryRun && (c.record == nil || c.record.ready == nil)
}

// runApart runs a container as run -d does, and attaches to it before its process exists. So this
// box is a client, which a signal ends, and the container goes on.
func (r *Record) runApart() error {
	live, err := os.Open(r.livePath())
	if err != nil {
		return errors.Join(err, r.release())
	}
	defer live.Close()
	var client *attach.Client
	held, attached, err := attach.Hold(func() (err error) {
		client, err = r.dial(r.Run.Interactive, attach.Once)
		return err
	})
	if err != nil {
		return errors.Join(err, r.release())
	}
	r.Run.Detach, r.hold, r.held = true, true, held
	err = errors.Join(r.detach(), attached())
	if client != nil {
		defer client.Close()
	}
	if err != nil {
		return err
	}
	return r.showApart(client, live)
}

// showApart shows what the container prints until it ends, and returns the exit status that its
// monitor leaves in the locked file.
func (r *Record) showApart(client *attach.Client, live *os.File) error {
	keys, err := r.Run.Keys()
	if err != nil {
		return err
	}
	v := attach.Visit{Client: client, TTY: r.Run.TTY, Typed: r.Run.Interactive, Keys: keys}
	if err := v.Show(); err == attach.ErrDetached {
		return plan.ExitStatus(0)
	} else if err != nil {
		return err
	}
	status, err := statusIn(live)
	return cmp.Or(err, error(plan.ExitStatus(status)))
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
