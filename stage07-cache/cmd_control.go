// box pause, unpause and update: what can be done to a container that runs.

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
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
	PIDs []target `arg:"" name:"container" help:"Containers, which need not run, or numbers of processes in them."`

	Limits

	Store
}

// Run is `box update`.
func (c *updateCmd) Run() error {
	settings, err := c.settings()
	if err != nil {
		return err
	}
	if len(settings) == 0 {
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
	case r == nil:
		return c.apply(pid, settings)
	}
	err = c.amend(r.ID, func(now *Record) error {
		limits := now.Run.Limits
		limits.override(c.Limits)
		if err := limits.check(); err != nil {
			return err
		}
		if pid != 0 {
			if err := c.apply(pid, settings); err != nil {
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

// override takes over the limits that are given in another.
func (l *Limits) override(by Limits) {
	to, from := reflect.ValueOf(l).Elem(), reflect.ValueOf(by)
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
}

// apply writes limits to the group of a process.
func (c *updateCmd) apply(pid int, settings []setting) error {
	g, err := groupOf(pid)
	if err != nil {
		return err
	}
	host := hostPlan()
	dir, _ := g.dir("memory")
	if c.MemorySwap != 0 && int64(c.Memory) > cgroupfs.Number(filepath.Join(dir, "memory.memsw.limit_in_bytes")) { // version 1 takes no memory above memory and swap: lift that first
		settings = slices.Insert(slices.Clone(settings), 0, setting{"--memory-swap", "memory", "memory.swap.max", "", "memory.memsw.limit_in_bytes", "-1"})
	}
	for _, s := range settings {
		if _, _, err := g.file(s); err != nil {
			return err
		}
		g.set(host, s)
	}
	return host.Perform(nil)
}
