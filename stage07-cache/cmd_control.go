// box pause, unpause and update: what can be done to a container that runs.

package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage04-unionfs/restart"
)

type pauseCmd struct {
	PIDs []target `arg:"" name:"container" help:"Containers, by name, id or a PID of one of their processes."`

	Store Store `embed:""`
}

// Run is `box pause`.
func (c *pauseCmd) Run() error { return c.setFrozen(true) }

type unpauseCmd struct{ pauseCmd }

// Run is `box unpause`.
func (c *unpauseCmd) Run() error { return c.setFrozen(false) }

// setFrozen stops the containers or lets them go on, and prints their names.
func (c *pauseCmd) setFrozen(frozen bool) error {
	var all []error
	for _, t := range c.PIDs {
		r, err := t.setFrozen(c.Store, frozen)
		if err == nil && r != nil {
			_, err = fmt.Println(t)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

type updateCmd struct {
	PIDs []target `arg:"" name:"container" help:"Containers, running or not, by name, id or a PID of one of their processes."`

	Limits

	Store Store `embed:""`

	Restart *restart.Policy `help:"Restart policy: no, on-failure[:N], always, unless-stopped." placeholder:"POLICY" group:"Store:"`

	lifted []string // the flags that were given as 0
}

// AfterApply notes which limits are 0 because they were given so.
func (c *updateCmd) AfterApply(k *kong.Context) error {
	for _, f := range k.Flags() {
		if _, ok := unlimited[f.Name]; ok && f.Set && f.Target.IsZero() {
			c.lifted = append(c.lifted, f.Name)
		}
	}
	has := func(flag string, value int64) bool { return value != 0 || slices.Contains(c.lifted, flag) }
	switch {
	case c.CPUs != 0: // which is in the default period
		c.lifted = append(c.lifted, "cpu-period")
	case has("cpu-period", int64(c.CPUPeriod)) && !has("cpu-quota", int64(c.CPUQuota)):
		return errors.New("--cpu-period needs --cpu-quota: version 2 of cgroups sets both at once")
	}
	return nil
}

// Run is `box update`.
func (c *updateCmd) Run() error {
	if err := c.Limits.Complete(); err != nil {
		return err
	}
	settings := c.changes()
	if len(settings) == 0 && c.Restart == nil {
		return fmt.Errorf("nothing to change: name a limit, such as -m 64m")
	}
	var all []error
	for _, t := range c.PIDs {
		all = append(all, c.update(t, settings))
	}
	return errors.Join(all...)
}

// update changes the limits of one container: those of its group while it runs, and those in its
// record, with which it starts again.
func (c *updateCmd) update(t target, settings []setting) error {
	pid, r, err := t.find(c.Store)
	switch {
	case err != nil && !errors.Is(err, errEnded):
		return err
	case r == nil && c.Restart != nil:
		return fmt.Errorf("--restart: %s is a process, and only a container has a restart policy: name the container", t)
	case r == nil:
		return c.apply(pid, settings)
	}
	err = r.amend(func(now *Record) error {
		limits := now.Run.Limits
		limits.Override(c.Limits.Limits, c.lifted)
		if c.Restart != nil {
			now.Run.Restart = *c.Restart
			if err := now.Run.checkAutoRemove(); err != nil {
				return err
			}
		}
		if err := limits.Check(); err != nil {
			return err
		}
		if pid != 0 && len(settings) > 0 {
			if err := c.apply(pid, settings); err != nil && !hasEnded(pid) {
				return err
			}
		}
		now.Run.Limits = limits
		return nil
	})
	if err == nil {
		_, err = fmt.Println(t)
	}
	return err
}

// hasEnded reports whether a process has ended. If it was the first of its container, the container
// does not run: it has new limits from its next start on.
func hasEnded(pid int) bool { return unix.Kill(pid, 0) == unix.ESRCH }

// apply writes limits to the group of a process.
func (c *updateCmd) apply(pid int, settings []setting) error {
	g, err := groupOf(pid)
	if err != nil {
		return err
	}
	host := hostPlan()
	for _, s := range c.swapFirst(g, settings) {
		if _, _, err := g.file(s); err != nil {
			return err
		}
		g.set(host, s)
	}
	if err = host.Perform(nil); err != nil && hasEnded(pid) {
		return fmt.Errorf("no such process: %d has ended, and its cgroup is gone", pid)
	}
	return err
}

// changes are the settings that lift limits, and then those of the limits that are given.
func (c *updateCmd) changes() (list []setting) {
	for _, flag := range c.lifted {
		list = append(list, unlimited[flag])
	}
	return append(list, c.settings()...)
}

// swapFirst lifts the limit of memory and swap together, if there is one, before that of memory
// rises above it: version 1 takes no other order.
func (c *updateCmd) swapFirst(g *group, settings []setting) []setting {
	lift := setting{"--memory-swap", "memory",
		file{"memory.swap.max", "max"}, file{"memory.memsw.limit_in_bytes", "-1"}}
	path, _, err := g.file(lift)
	if err != nil || unix.Access(path, unix.F_OK) != nil {
		return settings
	}
	if slices.Contains(c.lifted, "memory") || c.MemorySwap != 0 && int64(c.Memory) > cgroupfs.Number(path) {
		return slices.Insert(slices.Clone(settings), 0, lift)
	}
	return settings
}
