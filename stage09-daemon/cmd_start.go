// Commands that start and end containers of the store: create, start, stop, restart, kill and
// wait. An error with one of several containers does not keep a command from the others.

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/attach"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/signals"
	"stagebox/stage04-unionfs/state"
)

// someContainers are the arguments of a command that takes several containers.
type someContainers struct {
	Names []string `arg:"" name:"container" help:"Containers, by name, id or id prefix."`

	Store Store `embed:""`
}

// each does something with every container, and prints the names of those it succeeded with.
func (c *someContainers) each(do func(r *Record) error) error {
	return batch.SideBySide(c.Names, func(name string) error {
		r, err := c.Store.findStarted(name)
		if err != nil {
			return err
		}
		return do(r)
	})
}

// findStarted waits for a container that is just being started: its process may have printed
// something before the record says that it runs.
func (s Store) findStarted(text string) (r *Record, err error) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r, err = s.find(text)
		if err != nil || r.State.Status != "created" || !state.Held(r.livePath()) || time.Now().After(end) {
			return r, err
		}
	}
}

// oneContainer is the argument of a command that takes one.
type oneContainer struct {
	Name string `arg:"" name:"container" help:"A container, by name, id or id prefix."`

	Store Store `embed:""`
}

type createCmd struct{ Container }

// Run is `box create`.
func (c *createCmd) Run() error {
	if c.Detach || c.DryRun || c.Pause != "" || c.Explain != "" || c.DetachKeys != "" || c.SigProxy != nil {
		return errors.New("create starts nothing: --detach, --detach-keys, --sig-proxy, --dry-run, --pause and --explain are for run")
	}
	if err := errors.Join(c.checkFlags(), c.checkValues()); err != nil {
		return err
	}
	if err := c.createIfKept(); err != nil {
		return err
	}
	r := c.record
	if r == nil {
		return errors.New("create is for a container with a root of its own: add --rootfs DIR; box rootfs DIR makes one")
	}
	r.Kept = true
	if err := errors.Join(r.write(), r.release()); err != nil {
		return err
	}
	_, err := fmt.Println(r.ID)
	return err
}

type startCmd struct {
	someContainers

	Attach  bool `short:"a" help:"Attach to the container's output, as run does without -d."`
	Monitor bool `hidden:"" help:"Internal: the monitor of a container."`

	Interactive bool `short:"i" help:"Attach, and connect standard input if the container was created with -i."`

	attach.LeaveOptions

	plan.Narration

	Hold bool `hidden:"" help:"Internal: standard input is a socket; say there when clients can attach, and wait for an answer."`
}

// Run is `box start`.
func (c *startCmd) Run() error {
	if c.Monitor {
		r, err := c.Store.read(c.Names[0])
		if err != nil {
			return err
		}
		r.Run.Narration, r.hold = c.Narration, c.Hold
		exit("run", r.monitor()) // which may have started it
	}
	if c.DryRun || c.Pause != "" {
		return errors.New("start shows its system calls with --explain; --dry-run and --pause are for run")
	}
	if !c.Attach && !c.Interactive {
		return batch.Print(c.Names, c.start)
	}
	return c.startAttached()
}

// startAttached starts a container in the foreground. One that runs is attached to.
func (c *startCmd) startAttached() error {
	if len(c.Names) > 1 {
		return errors.New("--attach and --interactive take only one container")
	}
	if r, err := c.Store.find(c.Names[0]); err != nil {
		return err
	} else if c.Interactive && c.CanDetach(r.Run.TTY, r.Run.Interactive) && !r.Run.Rm {
		return attach.RunDetachable(os.Args[1:])
	}
	r, err := c.Store.takeEnded(c.Names[0])
	if err != nil {
		return err
	}
	if r.lock == nil {
		err = r.attach(attachOptions{DetachKeys: c.DetachKeys, NoStdin: !c.Interactive, SigProxy: true})
		if err == attach.ErrDetached {
			return nil
		}
		return err
	}
	if r.Run.Restart != "" {
		err := fmt.Errorf("container %s has a restart policy and runs in the background: leave out --attach, then box attach %s", r.Name, r.Name)
		return errors.Join(err, r.release())
	}
	r.Run.LeaveOptions, r.Run.Narration = c.LeaveOptions, c.Narration
	r.Run.Detach, r.Run.noInput = false, !c.Interactive
	return r.Run.Run()
}

// start starts a container in the background, unless it runs.
func (s Store) start(name string) error {
	return (&startCmd{someContainers: someContainers{Store: s}}).start(name)
}

// start starts a container in the background, as the flags say, unless it runs.
func (c *startCmd) start(name string) error {
	r, err := c.Store.takeEnded(name)
	if err != nil || r.lock == nil {
		return err
	}
	r.Run.Detach, r.Run.Narration, r.hold = true, c.Narration, c.Hold
	if err = r.detach(); errors.As(err, new(plan.ExitStatus)) {
		return plan.ExitStatus(1) // as in Docker, whatever was wrong; the monitor has printed it
	}
	return err
}

// takeEnded is take; but it returns a container that runs too, without a lock.
func (s Store) takeEnded(name string) (*Record, error) {
	r, err := s.take(name)
	if errors.Is(err, state.ErrBusy) {
		if now, errFind := s.find(name); errFind == nil && now.isLive() {
			return now, now.rejectPaused()
		}
	}
	return r, err
}

type stopCmd struct {
	someContainers

	stopOptions
}

type stopOptions struct {
	Time   *int   `short:"t" aliases:"timeout" placeholder:"SECONDS" help:"Seconds to wait before killing the container; -1 waits forever (default: its --stop-timeout, or 10). Without -t, a container whose first process neither handles nor blocks the signal is killed at once."`
	Signal string `short:"s" help:"Signal to send first (default: TERM)."`
}

// stop stops a container as the flags say.
func (c *stopOptions) stop(r *Record) error {
	if c.Signal == "" {
		return r.stop(0, c.Time)
	}
	s, err := signals.Parse(c.Signal)
	if err != nil {
		return fmt.Errorf("--signal %w", err)
	}
	return r.stop(s, c.Time)
}

// Run is `box stop`.
func (c *stopCmd) Run() error { return c.each(c.stop) }

type restartCmd struct {
	someContainers

	stopOptions
}

// Run is `box restart`.
func (c *restartCmd) Run() error {
	return c.each(func(r *Record) error {
		if err := c.stopToStart(r); err != nil {
			return err
		}
		return r.store.start(r.ID)
	})
}

// stopToStart does not let a container with --rm be removed in between. Its work directory is new
// then: a volatile overlay notes in the old one that its files may be lost, and is mounted once only.
func (c *restartCmd) stopToStart(r *Record) error {
	if !r.Run.Rm {
		return c.stop(r)
	}
	mark := func(is bool) error {
		return r.amend(func(now *Record) error { now.Restarts = is; return nil })
	}
	if err := mark(true); err != nil {
		return err
	}
	if err := c.stop(r); err != nil {
		return errors.Join(err, mark(false))
	}
	return errors.Join(removeTree(r.path("work")), os.Mkdir(r.path("work"), 0o700))
}

type killCmd struct {
	someContainers

	Signal string `short:"s" help:"Signal to send, by name or number." default:"KILL"`
}

// Run is `box kill`.
func (c *killCmd) Run() error {
	s, err := signals.Parse(c.Signal)
	if err != nil {
		return fmt.Errorf("--signal %w", err)
	}
	return c.each(func(r *Record) error { return r.sendSignal(s) })
}

type waitCmd struct{ someContainers }

// Run is `box wait`.
func (c *waitCmd) Run() error {
	return batch.Each(c.Names, func(name string) error {
		r, err := c.Store.find(name)
		if err != nil {
			return err
		}
		status, err := r.waitUntilEnd()
		if err == nil {
			_, err = fmt.Println(status)
		}
		return err
	})
}

type renameCmd struct {
	oneContainer

	NewName string `arg:"" name:"new-name" help:"The container's new name."`
}

// Run is `box rename`.
func (c *renameCmd) Run() error {
	name := strings.TrimPrefix(c.NewName, "/")
	if err := ids.CheckName(name); err != nil {
		return fmt.Errorf("rename %w", err)
	}
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	if r.Name == name {
		return fault.Conflict.Errorf("rename %s: the container has this name already", name)
	}
	err = r.rename(name)
	if errors.Is(err, fs.ErrExist) {
		return fault.Conflict.Errorf("rename %s: another container has this name: box rename gives it another", name)
	}
	if err == nil {
		err = c.Store.networks().Rename(r.ID, name)
	}
	return err
}
