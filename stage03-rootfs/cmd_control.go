// box pause, unpause and update: what can be done to a container that runs.

package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/cgroupfs"
)

type pauseCmd struct {
	PID int `arg:"" name:"pid" help:"A process in the container, by its PID on the host (see box lsns)."`
}

// Run is `box pause`.
func (c *pauseCmd) Run() error { return setFrozen(c.PID, true) }

type unpauseCmd struct {
	PID int `arg:"" name:"pid" help:"A process in the container, by its PID on the host."`
}

// Run is `box unpause`.
func (c *unpauseCmd) Run() error { return setFrozen(c.PID, false) }

type updateCmd struct {
	PID int `arg:"" name:"pid" help:"A process in the container, by its PID on the host."`

	Limits

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
	g, err := groupOf(c.PID)
	if err != nil {
		return err
	}
	if err := c.Limits.Complete(); err != nil {
		return err
	}
	settings := c.changes()
	if len(settings) == 0 {
		return fmt.Errorf("nothing to change: name a limit, such as -m 64m")
	}
	return c.apply(g, settings)
}

// apply writes limits to the group of the process, which may end meanwhile.
func (c *updateCmd) apply(g *group, settings []setting) error {
	host := hostPlan()
	for _, s := range c.swapFirst(g, settings) {
		if _, _, err := g.file(s); err != nil {
			return err
		}
		g.set(host, s)
	}
	err := host.Perform(nil)
	if err != nil && unix.Kill(c.PID, 0) == unix.ESRCH {
		return fmt.Errorf("no such process: %d has ended, and its cgroup is gone", c.PID)
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
