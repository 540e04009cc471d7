// box stats shows what the kernel counted for each container: files of its cgroup, read
// once a second. CPU time is a sum there, so a share is the difference of two readings.

package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage02-cgroups/stats"
)

type statsCmd struct {
	PIDs []target `arg:"" optional:"" name:"container" help:"Containers to show, by name, id or a PID of one of their processes (default: all of box's containers)."`

	NoStream bool   `help:"Print the numbers once instead of every second."`
	Format   string `help:"table, or json for one object per line and container." enum:"table,json" default:"table"`

	Store Store `embed:""`
}

// Run is `box stats`.
func (c *statsCmd) Run() error {
	d := stats.Display{JSON: c.Format == "json"}
	return d.Watch(os.Stdout, !c.NoStream, c.read)
}

// read takes a reading of every container, by the name of its group.
func (c *statsCmd) read() (map[string]*stats.Usage, error) {
	groups, err := c.groups()
	now := map[string]*stats.Usage{}
	for _, g := range groups {
		now[g.name] = g.usage()
	}
	return now, err
}

// groups returns those of the processes that were named, or all that box has made.
func (c *statsCmd) groups() ([]*group, error) {
	if len(c.PIDs) > 0 {
		var list []*group
		for _, t := range c.PIDs {
			pid, _, err := t.find(c.Store)
			if err != nil {
				return nil, err
			}
			g, err := groupOf(pid)
			if err != nil {
				return nil, err
			}
			list = append(list, g)
		}
		return list, nil
	}
	all, err := cgroupfs.Trees(os.Getpid())
	if err != nil {
		return nil, err
	}
	found := map[string]*group{}
	for _, t := range all {
		for _, dir := range cgroupfs.Below(t.Mount, isGroup) {
			name := filepath.Base(dir)
			if found[name] == nil {
				found[name] = &group{name: name}
			}
			found[name].parents = append(found[name].parents, parent{Tree: t, dir: filepath.Dir(dir)})
		}
	}
	byName := func(a, b *group) int { return strings.Compare(a.name, b.name) }
	return slices.SortedFunc(maps.Values(found), byName), nil
}
