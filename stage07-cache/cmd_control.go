// box pause, unpause and update: what can be done to a container that runs.

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"stagebox/stage02-cgroups/cgroupfs"
)

type pauseCmd struct {
	PIDs []target `arg:"" name:"container" help:"Containers, or numbers of processes in them."`

	Store
}

// Run is `box pause`.
func (c *pauseCmd) Run() error { return c.freeze(true) }

type unpauseCmd struct{ pauseCmd }

// Run is `box unpause`.
func (c *unpauseCmd) Run() error { return c.freeze(false) }

// freeze stops the containers or lets them go on, and prints their names.
func (c *pauseCmd) freeze(stop bool) error {
	var all []error
	for _, t := range c.PIDs {
		r, err := t.freeze(c.Store, stop)
		if err == nil && r != nil {
			_, err = fmt.Println(t)
		}
		if err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

type updateCmd struct {
	PID target `arg:"" name:"container" help:"A container, or the number of a process in one."`

	Limits

	Store
}

// Run is `box update`.
func (c *updateCmd) Run() error {
	pid, _, err := c.PID.find(c.Store)
	if err != nil {
		return err
	}
	g, err := groupOf(pid)
	if err != nil {
		return err
	}
	settings, err := c.settings()
	if err != nil {
		return err
	}
	if len(settings) == 0 {
		return fmt.Errorf("nothing to change: name a limit, such as -m 64m")
	}
	host := hostPlan()
	dir, _ := g.dir("memory")
	if c.MemorySwap != 0 && int64(c.Memory) > cgroupfs.Number(filepath.Join(dir, "memory.memsw.limit_in_bytes")) { // version 1 takes no memory above memory and swap: lift that first
		settings = slices.Insert(settings, 0, setting{"--memory-swap", "memory", "memory.swap.max", "", "memory.memsw.limit_in_bytes", "-1"})
	}
	for _, s := range settings {
		if _, _, err := g.file(s); err != nil {
			return err
		}
		g.set(host, s)
	}
	return host.Perform(nil)
}
