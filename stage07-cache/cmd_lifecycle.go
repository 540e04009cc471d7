// The life of a container of box runtime: create makes its process, which waits; start lets it
// become the program; delete removes what is left. Each of them is a box of its own that ends at
// once, so what one has to know of the others is a file (package runtimestate).

package main

import (
	"errors"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/pty"
	"stagebox/stage05-images/runtimecli"
	"stagebox/stage05-images/runtimespec"
	"stagebox/stage05-images/runtimestate"
)

// runtimeContainer is a container of box runtime: what its bundle asks for, and what is kept of it.
type runtimeContainer struct {
	*runtimecli.BundleOptions
	*bundle
	state *runtimestate.State
	p     *Plan
}

// The files of its cgroup that say whether it is paused, and which processes are in it.
const freezer, members = "cgroup.freeze", "cgroup.procs"

// prepareContainer reads the bundle, claims the name and composes the plan, in which with waits the process
// waits for start. For a dry run it leaves nothing behind.
func prepareContainer(o *runtimecli.BundleOptions, id string, waits, dryRun bool) (*runtimeContainer, error) {
	dir, spec, err := o.Load(waits)
	if err != nil {
		return nil, err
	}
	c := &runtimeContainer{BundleOptions: o, p: newPlan()}
	c.bundle = &bundle{Spec: spec, dir: dir, id: id, keep: o.PreserveFds, isDry: dryRun, warn: o.Warn}
	c.hook = c.runHook
	if c.ns, err = runtimespec.SortNamespaces(spec, flagOf); err != nil {
		return nil, err
	}
	if !dryRun {
		if err := c.claim(waits); err != nil {
			return nil, c.undo(err)
		}
	}
	if !o.NoNewKeyring {
		c.p.JoinKeyring("_ses." + id).Why("no key of the caller's")
	}
	if err := c.compose(c.p); err != nil {
		return nil, c.undo(err)
	}
	return c, nil
}

// claim makes the directory of the container's state, whose name no other may have, and with waits
// the FIFO at which the process waits.
func (c *runtimeContainer) claim(waits bool) (err error) {
	if err := c.guard(); err != nil {
		return err
	}
	if c.state, err = c.States().Create(c.id, c.dir, c.Spec); err == nil && waits {
		c.fifo, err = c.state.MakeFIFO()
	}
	return err
}

// launch makes the process, and hands it over to the engine.
func (c *runtimeContainer) launch(n *plan.Narration) (*plan.Process, error) {
	c.state.Groups = c.groups
	process, err := n.Start(c.p.Plan)
	if err == nil {
		err = c.state.Started(process.PID)
	}
	if err == nil {
		err = c.handOver(c.p.console, process.PID)
	}
	if err != nil && process != nil && process.PID != 0 {
		unix.Kill(process.PID, unix.SIGKILL)
	}
	return process, err
}

// handOver gives the engine the terminal and the number of a process, as far as it wants them.
func (c *runtimeContainer) handOver(own *console, pid int) error {
	return c.Give(pid, func() (*os.File, error) { return pty.Receive(own.ends) })
}

// connect shows a terminal that no engine has here. end is that of console.serve.
func (c *runtimeContainer) connect(own *console) (end func(), err error) {
	if own == nil || c.ConsoleSocket != "" {
		return func() {}, nil
	}
	own.Terminal = pty.Terminal{Output: os.Stdout, Typed: true}
	return own.serve()
}

// attend waits for the process, and removes what is left unless it is to be kept.
func (c *runtimeContainer) attend(process *plan.Process, keep bool) error {
	end, err := c.connect(c.p.console)
	if err != nil {
		return c.undo(err)
	}
	err = process.Wait()
	end()
	if !keep {
		err = errors.Join(c.remove(), err)
		c.runPoststop()
	}
	return err
}

// reopen is a container that was made before, for what happens to it later.
func reopen(o *runtimecli.Options, s *runtimestate.State) (*runtimeContainer, error) {
	spec, err := runtimespec.Load(s.Dir)
	if err != nil {
		return nil, err
	}
	c := &runtimeContainer{BundleOptions: &runtimecli.BundleOptions{Options: *o}, state: s}
	c.bundle = &bundle{Spec: spec, dir: s.Bundle, id: s.ID, warn: o.Warn}
	return c, nil
}

// start lets the process of a created container become the program.
func (c *runtimeContainer) start() error {
	if len(c.Hooks.StartContainer) > 0 {
		if err := seal(); err != nil {
			return err
		}
	}
	if err := c.runHooks("startContainer"); err != nil {
		return err
	}
	if err := c.state.Start(); err != nil {
		return err
	}
	return c.runHooks("poststart")
}

// exec brings a process into the container, and waits for it unless it is to be left running.
func (c *runtimeContainer) exec(process *specs.Process, detach bool) error {
	p, err := c.join(c.state.Pid, process)
	if err != nil {
		return err
	}
	started, err := (&plan.Narration{}).Start(p.Plan)
	if err == nil {
		err = c.handOver(p.console, started.PID)
	}
	if err != nil || detach {
		return err
	}
	end, err := c.connect(p.console)
	if err != nil {
		return err
	}
	defer end()
	return started.Wait()
}

// delete ends the container, and removes what is left of it.
func (c *runtimeContainer) delete() error {
	if c.state.Status == runtimestate.Paused {
		setFrozenIn(c.state.GroupWith(freezer), false)
	}
	if err := c.state.Kill(); err != nil {
		return err
	}
	err := c.remove()
	c.runPoststop()
	return err
}

// undo removes what a container that was not made has left.
func (c *runtimeContainer) undo(err error) error {
	if c.state == nil {
		return err
	}
	return errors.Join(err, c.remove())
}

// remove removes the container's cgroups with what still runs in them, and its state.
func (c *runtimeContainer) remove() (err error) {
	for _, dir := range c.state.Groups {
		err = errors.Join(err, removeGroup(dir))
	}
	return errors.Join(err, c.state.Remove())
}

// JoinKeyring is keyctl(2) KEYCTL_JOIN_SESSION_KEYRING. A kernel may have no keyrings.
func (p *Plan) JoinKeyring(name string) *plan.Call {
	const join = 1 // KEYCTL_JOIN_SESSION_KEYRING
	return p.Add("keyctl", unix.SYS_KEYCTL, plan.Sym(join, "KEYCTL_JOIN_SESSION_KEYRING"), name).
		Tolerate(unix.ENOSYS)
}
