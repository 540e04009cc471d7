// Commands that start and end containers of the store: start, stop, kill and wait. The names
// of signals are read here too (signal(7)).
package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

type startCmd struct {
	Names   []string `arg:"" name:"container" help:"Names, ids, or beginnings of ids."`
	Attach  bool     `short:"a" help:"Stay with it, as run does without -d."`
	Monitor bool     `hidden:"" help:"Be the monitor of a container; box does this itself."`

	Store
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
	Names []string `arg:"" name:"container" help:"Names, ids, or beginnings of ids."`
	Time  int      `short:"t" help:"Seconds until it is killed." default:"10"`

	Store
}

// Run is `box stop`.
func (c *stopCmd) Run() error {
	if c.Time < 0 {
		return fmt.Errorf("--time %d: it is a number of seconds, 0 or more", c.Time)
	}
	return printEach(c.Names, func(name string) error {
		r, err := c.Store.find(name)
		if err != nil {
			return err
		}
		return r.stop(time.Duration(c.Time) * time.Second)
	})
}

type killCmd struct {
	Names  []string `arg:"" name:"container" help:"Names, ids, or beginnings of ids."`
	Signal string   `short:"s" help:"The signal, as a name or number." default:"KILL"`

	Store
}

// Run is `box kill`.
func (c *killCmd) Run() error {
	s, err := parseSignal(c.Signal)
	if err != nil {
		return fmt.Errorf("--signal %w", err)
	}
	return printEach(c.Names, func(name string) error {
		r, err := c.Store.find(name)
		if err != nil {
			return err
		}
		return r.signal(s)
	})
}

// parseSignal reads TERM, SIGTERM, 15, RTMIN+3 or RTMAX-3.
func parseSignal(text string) (unix.Signal, error) {
	upper := "SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if s := cmp.Or(unix.SignalNum(upper), realtime(upper)); s != 0 {
		return s, nil
	}
	var n int
	if _, err := fmt.Sscanf(text, "%d", &n); err == nil && n > 0 && n < 65 && fmt.Sprint(n) == text {
		return unix.Signal(n), nil
	}
	return 0, fmt.Errorf("%s: there is no such signal; kill -l lists them", text)
}

// realtime counts from the first or the last of the real-time signals, or returns 0. The first
// two of the kernel's are the C library's own (signal(7)).
func realtime(name string) unix.Signal {
	edge, steps, _ := strings.Cut(strings.Replace(name, "-", "+-", 1), "+")
	first, known := map[string]int{"SIGRTMIN": 34, "SIGRTMAX": 64}[edge]
	n, err := strconv.Atoi(cmp.Or(steps, "0"))
	if !known || err != nil || first+n < 34 || first+n > 64 {
		return 0
	}
	return unix.Signal(first + n)
}

type waitCmd struct {
	Names []string `arg:"" name:"container" help:"Names, ids, or beginnings of ids."`

	Store
}

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
