// box top shows the processes of a container, as ps(1) of the host lists them.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"stagebox/stage01-namespaces/nslist"
	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage04-unionfs/format"
)

type topCmd struct {
	Words Argv `arg:"" name:"container" help:"A name, an id, or the beginning of one, and options of ps: -ef if there are none. PID has to be among the columns." passthrough:"partial"`

	Store
}

// Run is `box top`.
func (c *topCmd) Run() error {
	words := c.Words.argv()
	r, err := c.Store.find(words[0])
	if err != nil {
		return err
	}
	if !r.isRunning() {
		return fmt.Errorf("container %s does not run: box start %s starts it", r.Name, r.Name)
	}
	options := words[1:]
	if len(options) == 0 {
		options = []string{"-ef"}
	}
	out, err := exec.Command("ps", options...).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		first, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
		return fmt.Errorf("ps %s: %s", strings.Join(options, " "), first)
	}
	if err != nil {
		return fmt.Errorf("ps, a program of the host: %w", err)
	}
	return format.Processes(os.Stdout, string(out), r.processes())
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
