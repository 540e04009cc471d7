// box runtime: the commands of an OCI runtime, with runc's names and flags. Engines call it to make
// a container of a bundle, and to do something with it later. cmd_lifecycle.go has what becomes of
// a container between create and delete, bundle.go and process.go have the plan that makes it.

package main

import (
	"errors"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/capability"
	"stagebox/stage04-unionfs/signals"
	"stagebox/stage05-images/runtimecli"
	"stagebox/stage05-images/runtimespec"
	"stagebox/stage05-images/runtimestate"
)

type runtimeCmd struct {
	Create   runtimeCreateCmd   `cmd:"" help:"Create a container from a bundle; its program waits for start."`
	Start    runtimeStartCmd    `cmd:"" help:"Start the program of a created container."`
	State    runtimeStateCmd    `cmd:"" help:"Print the state of a container as JSON."`
	Kill     runtimeKillCmd     `cmd:"" help:"Send a signal to a container."`
	Delete   runtimeDeleteCmd   `cmd:"" help:"Delete a container that has stopped."`
	Run      runtimeRunCmd      `cmd:"" help:"Create a container from a bundle and start it."`
	Exec     runtimeExecCmd     `cmd:"" help:"Run another process in a container."`
	Ps       runtimePsCmd       `cmd:"" help:"List the processes of a container."`
	Pause    runtimePauseCmd    `cmd:"" help:"Stop all processes of a container."`
	Resume   runtimeResumeCmd   `cmd:"" help:"Resume the processes of a paused container."`
	List     runtimeListCmd     `cmd:"" help:"List containers."`
	Features runtimeFeaturesCmd `cmd:"" help:"Print what config.json may ask for, as JSON."`
	Version  runtimeVersionCmd  `cmd:"" help:"Print the version, and that of the specification (--version, as engines ask)."`
}

type runtimeCreateCmd struct{ runtimecli.Create }

// Run is `box runtime create`.
func (c *runtimeCreateCmd) Run() error { return c.Logged(c.create) }

func (c *runtimeCreateCmd) create() error {
	made, err := prepareContainer(&c.BundleOptions, c.ID, true, false)
	if err != nil {
		return err
	}
	if _, err := made.launch(&plan.Narration{}); err != nil {
		return made.undo(err)
	}
	return nil
}

type runtimeRunCmd struct{ runtimecli.CreateAndStart }

// Run is `box runtime run`.
func (c *runtimeRunCmd) Run() error { return c.Logged(c.run) }

func (c *runtimeRunCmd) run() error {
	made, err := prepareContainer(&c.BundleOptions, c.ID, false, c.DryRun)
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.List(made.p.Plan)
	}
	if c.Detach && made.Process.Terminal && c.ConsoleSocket == "" {
		return made.undo(made.CheckConsole(true, true))
	}
	process, err := made.launch(&c.Narration)
	if err == nil {
		err = made.runHooks("poststart")
	}
	if err != nil {
		return made.undo(err)
	}
	if c.Detach {
		return nil
	}
	return made.attend(process, c.Keep)
}

type runtimeStartCmd struct{ runtimecli.One }

// Run is `box runtime start`.
func (c *runtimeStartCmd) Run() error { return c.With(c.ID, freezer, c.start) }

func (c *runtimeStartCmd) start(s *runtimestate.State) error {
	if err := s.MayStart(); err != nil {
		return err
	}
	made, err := reopen(&c.Options, s)
	if err != nil {
		return err
	}
	return made.start()
}

type runtimeStateCmd struct{ runtimecli.One }

// Run is `box runtime state`.
func (c *runtimeStateCmd) Run() error {
	return c.With(c.ID, freezer, func(s *runtimestate.State) error {
		return runtimecli.PrintJSON(s.Shown())
	})
}

type runtimeKillCmd struct{ runtimecli.Kill }

// Run is `box runtime kill`.
func (c *runtimeKillCmd) Run() error { return c.Logged(c.kill) }

func (c *runtimeKillCmd) kill() error {
	signal, err := signals.Parse(c.Signal)
	if err != nil {
		return err
	}
	s, err := c.Find(c.ID, freezer)
	if err != nil {
		return err
	}
	if !c.All {
		return s.Signal(signal)
	}
	for _, pid := range s.Processes(members) {
		unix.Kill(pid, signal)
	}
	return nil
}

type runtimeDeleteCmd struct{ runtimecli.Delete }

// Run is `box runtime delete`.
func (c *runtimeDeleteCmd) Run() error { return c.Logged(c.delete) }

func (c *runtimeDeleteCmd) delete() error {
	s, err := c.Find(c.ID, freezer)
	switch {
	case errors.Is(err, runtimestate.ErrMissing) && c.Force:
		return c.States().Forget(c.ID)
	case err != nil:
		return err
	}
	if err := s.MayDelete(c.Force); err != nil {
		return err
	}
	made, err := reopen(&c.Options, s)
	if err != nil { // its config.json is damaged, and it has to go all the same
		made = &runtimeContainer{bundle: &bundle{Spec: &specs.Spec{Hooks: &specs.Hooks{}}}, state: s}
	}
	return made.delete()
}

type runtimePauseCmd struct{ runtimecli.One }

// Run is `box runtime pause`.
func (c *runtimePauseCmd) Run() error { return freezeContainer(&c.One, true) }

type runtimeResumeCmd struct{ runtimecli.One }

// Run is `box runtime resume`.
func (c *runtimeResumeCmd) Run() error { return freezeContainer(&c.One, false) }

func freezeContainer(c *runtimecli.One, stop bool) error {
	return c.With(c.ID, freezer, func(s *runtimestate.State) error {
		group := s.GroupWith(freezer)
		if err := s.MayFreeze(stop, group != ""); err != nil {
			return err
		}
		return setFrozenIn(group, stop)
	})
}

type runtimeListCmd struct{ runtimecli.List }

// Run is `box runtime list`.
func (c *runtimeListCmd) Run() error {
	return c.Logged(func() error {
		list, err := c.States().All()
		for _, s := range list {
			s.NotePause(freezer)
		}
		return errors.Join(runtimecli.PrintList(list, c.Format == "json", c.Quiet), err)
	})
}

type runtimePsCmd struct{ runtimecli.Ps }

// Run is `box runtime ps`.
func (c *runtimePsCmd) Run() error {
	return c.With(c.ID, freezer, func(s *runtimestate.State) error {
		return runtimecli.PrintProcesses(s.Processes(members), c.Format == "json", c.Args)
	})
}

type runtimeFeaturesCmd struct{ runtimecli.Options }

// Run is `box runtime features`.
func (c *runtimeFeaturesCmd) Run() error {
	namespaces := strings.Split(kindNames(), ", ")
	return runtimecli.PrintJSON(runtimespec.Features(namespaces, capability.All.Names()))
}

type runtimeVersionCmd struct{ runtimecli.Options }

// Run is `box runtime --version`.
func (c *runtimeVersionCmd) Run() error { return runtimecli.PrintVersion(version) }

type runtimeExecCmd struct {
	ID   string `arg:"" name:"container" help:"Name of the container."`
	Args Argv   `arg:"" name:"command" optional:"" passthrough:"partial" help:"The command and its arguments, without --process."`

	runtimecli.Exec
}

// Run is `box runtime exec`.
func (c *runtimeExecCmd) Run() error { return c.With(c.ID, freezer, c.exec) }

func (c *runtimeExecCmd) exec(s *runtimestate.State) error {
	if err := s.MayExec(); err != nil {
		return err
	}
	made, err := reopen(&c.Options, s)
	if err != nil {
		return err
	}
	process, err := c.Of(made.Spec.Process, c.Args.argv())
	if err != nil {
		return err
	}
	if err := seal(); err != nil {
		return err
	}
	made.HandOver, made.keep = c.HandOver, c.PreserveFds
	if err := made.CheckConsole(process.Terminal, c.Detach); err != nil {
		return err
	}
	return made.exec(process, c.Detach)
}
