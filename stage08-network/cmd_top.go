// box top shows the processes of a container, as ps(1) of the host lists them.
package main

import (
	"os"
	"path/filepath"

	"stagebox/stage01-namespaces/nslist"
	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage04-unionfs/format"
)

type topCmd struct {
	Words Argv `arg:"" name:"container" help:"A container, by name, id or id prefix, followed by options of ps(1) (default: -ef). The columns must include PID." passthrough:"partial"`

	Store Store `embed:""`
}

// Run is `box top`.
func (c *topCmd) Run() error {
	words := c.Words.argv()
	r, err := c.Store.findStarted(words[0])
	if err != nil {
		return err
	}
	if !r.isRunning() {
		return r.notRunning()
	}
	list, err := format.PS(words[1:])
	if err != nil {
		return err
	}
	return format.Processes(os.Stdout, list, r.processes())
}

// processes are the numbers of a running container's processes on the host: those in its cgroup
// and in those below it, and if it has none, those in its PID namespace.
func (r *Record) processes() (pids []int) {
	if g, err := groupOf(r.State.PID); err == nil {
		dir, _ := g.dir("")
		if dir == "" {
			dir = filepath.Join(g.parents[0].dir, g.name)
		}
		return cgroupfs.Numbers(dir, "cgroup.procs")
	}
	return nslist.Sharing(r.State.PID, "pid")
}
