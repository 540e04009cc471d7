// box attach joins those who look at a running container: it shows what the container prints from
// now on, and passes on what is typed.

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

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
	DetachKeys string `help:"Keys to type to leave the container, which goes on." default:"ctrl-p,ctrl-q" placeholder:"KEYS"`
	NoStdin    bool   `help:"Do not pass on standard input."`
	SigProxy   bool   `help:"Pass on signals to a container without a terminal." default:"true" negatable:""`
}

const defaultKeys = "ctrl-p,ctrl-q"

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
		return fmt.Errorf("container %s is paused: box unpause %s lets it go on", r.Name, r.Name)
	}
	return r.attach(c.attachOptions)
}

// visit is an attached box: what can end it, other than the end of the container.
type visit struct {
	*Record
	*attach.Client
	ends chan error
}

// attach shows what the container prints until it ends, and returns its exit status.
func (r *Record) attach(c attachOptions) error {
	keys, err := attach.ParseKeys(c.DetachKeys)
	if err != nil {
		return fmt.Errorf("--detach-keys %w", err)
	}
	typed := r.Run.Interactive && !c.NoStdin
	if typed && r.Run.TTY && !term.IsTerminal(0) {
		return fmt.Errorf("container %s has a terminal, and standard input is none: add --no-stdin", r.Name)
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
	v := &visit{r, client, make(chan error, 1)}
	defer v.Close()
	if err := v.show(c.SigProxy, typed, keys); err != nil {
		return err
	}
	status, err := wait()
	if err != nil {
		return err
	}
	return plan.ExitStatus(status)
}

// show copies the streams until the container closes them, or something else ends it.
func (v *visit) show(proxy, typed bool, keys attach.Keys) error {
	if v.Run.TTY && typed {
		before, err := term.MakeRaw(0)
		if err != nil {
			return fmt.Errorf("raw mode of the terminal: %w", err)
		}
		defer term.Restore(0, before)
	}
	if v.Run.TTY {
		go v.follow()
	}
	if v.Run.TTY && typed || !v.Run.TTY && proxy {
		go v.passSignals()
	}
	if typed {
		go v.passInput(keys)
	}
	var all sync.WaitGroup
	all.Go(func() { io.Copy(os.Stdout, v.Stdout) })
	all.Go(func() { io.Copy(os.Stderr, v.Stderr) })
	go func() { all.Wait(); v.ends <- nil }()
	err := <-v.ends
	if err == attach.ErrDetached {
		fmt.Fprintf(os.Stderr, "%v\r\n", err)
		return plan.ExitStatus(1) // Docker's
	}
	return err
}

// passInput passes on what is typed; at a terminal, until the keys are typed.
func (v *visit) passInput(keys attach.Keys) {
	if !v.Run.TTY {
		keys = attach.Keys{}
	}
	if err := keys.Copy(v.Stdin, os.Stdin); err == attach.ErrDetached {
		v.ends <- err
	}
	v.Stdin.Close()
}

// follow gives the container's terminal the size of the caller's, whenever it changes.
func (v *visit) follow() {
	sizes := make(chan os.Signal, 1)
	signal.Notify(sizes, unix.SIGWINCH)
	for ; ; <-sizes {
		if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil {
			v.Resize(size.Row, size.Col)
		}
	}
}

// passSignals passes signals on. At a terminal the keys for them are passed on as bytes, so a
// signal is for box alone: it ends, and leaves the terminal as it was. It also ends with one that
// the container would never get.
func (v *visit) passSignals() {
	all := make(chan os.Signal, 8)
	signal.Notify(all, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	for s := range all {
		s := s.(unix.Signal)
		if v.Run.TTY || !v.Run.Init && plan.Unhandled(v.State.PID, s) {
			v.ends <- plan.ExitStatus(128 + int(s))
			return
		}
		v.signal(s)
	}
}
