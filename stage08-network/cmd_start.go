// Commands that start and end containers of the store: start, stop, kill and wait. An error with
// one of several containers does not keep a command from the others.
package main

import (
	"errors"
	"fmt"
	"time"

	"stagebox/stage04-unionfs/signals"
)

// someContainers are the arguments of a command that takes several containers.
type someContainers struct {
	Names []string `arg:"" name:"container" help:"Names, ids, or beginnings of ids."`

	Store
}

// each does something with every container, and prints the names of those it succeeded with.
func (c *someContainers) each(do func(r *Record) error) error {
	return printEach(c.Names, func(name string) error {
		r, err := c.find(name)
		if err != nil {
			return err
		}
		return do(r)
	})
}

// oneContainer is the argument of a command that takes one.
type oneContainer struct {
	Name string `arg:"" name:"container" help:"A name, an id, or the beginning of one."`

	Store
}

type startCmd struct {
	someContainers

	Attach  bool `short:"a" help:"Stay with it, as run does without -d."`
	Monitor bool `hidden:"" help:"Be the monitor of a container; box does this itself."`
}

// Run is `box start`.
func (c *startCmd) Run() error {
	if c.Monitor {
		r, err := c.Store.read(c.Names[0])
		if err != nil {
			return err
		}
		return r.monitor()
	}
	if c.Attach && len(c.Names) > 1 {
		return errors.New("--attach stays with one container: name one only")
	}
	if c.Attach {
		r, err := c.Store.take(c.Names[0])
		if err != nil {
			return err
		}
		r.Run.Detach = false
		return r.Run.Run()
	}
	return printEach(c.Names, func(name string) error {
		r, err := c.Store.take(name)
		if err != nil {
			return err
		}
		r.Run.Detach = true
		return r.detach()
	})
}

// printEach does something with every name, and prints those that it has succeeded with.
func printEach(names []string, do func(name string) error) error {
	return each(names, func(name string) error {
		if err := do(name); err != nil {
			return err
		}
		_, err := fmt.Println(name)
		return err
	})
}

// each does something with every name, and returns all errors.
func each(names []string, do func(name string) error) error {
	var all []error
	for _, name := range names {
		if err := do(name); err != nil {
			all = append(all, err)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

type stopCmd struct {
	someContainers

	Time int `short:"t" help:"Seconds until it is killed." default:"10"`
}

// Run is `box stop`.
func (c *stopCmd) Run() error {
	if c.Time < 0 {
		return fmt.Errorf("--time %d: it is a number of seconds, 0 or more", c.Time)
	}
	return c.each(func(r *Record) error { return r.stop(time.Duration(c.Time) * time.Second) })
}

type killCmd struct {
	someContainers

	Signal string `short:"s" help:"The signal, as a name or number." default:"KILL"`
}

// Run is `box kill`.
func (c *killCmd) Run() error {
	s, err := signals.Parse(c.Signal)
	if err != nil {
		return fmt.Errorf("--signal %w", err)
	}
	return c.each(func(r *Record) error { return r.signal(s) })
}

type waitCmd struct{ someContainers }

// Run is `box wait`.
func (c *waitCmd) Run() error {
	return each(c.Names, func(name string) error {
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
