// box pause, unpause and update: what can be done to a container that runs.

package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"stagebox/stage02-cgroups/cgroupfs"
)

type pauseCmd struct {
	PID int `arg:"" name:"pid" help:"A process in the container, by its number on the host (see box lsns)."`
}

// Run is `box pause`.
func (c *pauseCmd) Run() error { return freeze(c.PID, true) }

type unpauseCmd struct {
	PID int `arg:"" name:"pid" help:"A process in the container, by its number on the host."`
}

// Run is `box unpause`.
func (c *unpauseCmd) Run() error { return freeze(c.PID, false) }

type updateCmd struct {
	PID int `arg:"" name:"pid" help:"A process in the container, by its number on the host."`

	Limits
}

// Run is `box update`.
func (c *updateCmd) Run() error {
	g, err := groupOf(c.PID)
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
