// box ps lists the containers of the store, box rm removes them.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage02-cgroups/units"
)

type psCmd struct {
	All   bool `short:"a" help:"Show all containers (default: running ones only)."`
	Quiet bool `short:"q" help:"Ids only."`

	Store
}

// Run is `box ps`.
func (c *psCmd) Run() error {
	all, err := c.Store.all()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b *Record) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID)) })
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	if !c.Quiet {
		fmt.Fprintln(table, "CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tPORTS\tNAMES")
	}
	for _, r := range all {
		switch {
		case !c.All && !r.isRunning():
		case c.Quiet:
			fmt.Fprintln(table, r.ID[:12])
		default:
			fmt.Fprintf(table, "%s\t%s\t%s\t%s ago\t%s\t%s\t%s\n", r.ID[:12], cmp.Or(r.Image, "-"), r.shortCommand(), units.FormatAge(r.Created), r.status(), strings.Join(r.State.Ports, ", "), r.Name)
		}
	}
	return table.Flush()
}

// shortCommand is the beginning of the command line, in quotes.
func (r *Record) shortCommand() string {
	line := []rune(strings.Join(r.Run.Command.argv(), " "))
	if len(line) > 20 {
		line = append(line[:19], '…')
	}
	return fmt.Sprintf("%q", string(line))
}

// status is the state in the words of docker ps.
func (r *Record) status() string {
	switch {
	case r.isRunning() && r.isPaused():
		return "Up " + units.FormatAge(r.State.StartedAt) + " (Paused)"
	case r.isRunning():
		return "Up " + units.FormatAge(r.State.StartedAt)
	case r.State.Status == "created":
		return "Created"
	}
	return fmt.Sprintf("Exited (%d) %s ago", r.State.ExitCode, units.FormatAge(r.State.FinishedAt))
}

// isPaused reports whether the container's cgroup is frozen.
func (r *Record) isPaused() bool {
	g, err := groupOf(r.State.PID)
	if err != nil {
		return false
	}
	dir, _ := g.dir("")
	return cgroupfs.Field(dir+"/cgroup.events", "frozen") == 1
}

type rmCmd struct {
	someContainers

	Force   bool `short:"f" help:"End it first, if it runs; and do not mind if there is none."`
	Volumes bool `short:"v" help:"Its volumes without a name too."`
}

// Run is `box rm`.
func (c *rmCmd) Run() error {
	return sideBySide(c.Names, c.remove)
}

func (c *rmCmd) remove(name string) error {
	if c.Force {
		r, err := c.Store.find(name)
		if errors.Is(err, errNoContainer) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.isRunning() {
			if err := r.kill(); err != nil {
				return err
			}
			if _, err := os.Stat(r.path()); errors.Is(err, unix.ENOENT) {
				return nil // with --rm
			}
		}
	}
	r, err := c.Store.take(name)
	if err != nil {
		return err
	}
	if c.Volumes && len(r.Volumes) > 0 { // written down, so that it is done even if box is killed
		r.Run.Rm = true
		if err := r.write(); err != nil {
			return err
		}
	}
	return r.remove()
}
