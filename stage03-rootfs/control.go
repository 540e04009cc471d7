// What can be done to the cgroup of a running container: stop it, resume it, change its limits.
// The container is named by any of its processes.

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"stagebox/stage02-cgroups/cgroupfs"
)

// groupOf finds the group that box made for the container of a process.
func groupOf(pid int) (*group, error) {
	all, err := cgroupfs.Trees(pid)
	if err != nil {
		return nil, fmt.Errorf("no such process: %d: %w", pid, err)
	}
	g := &group{}
	for _, t := range all {
		dir, name := filepath.Split(filepath.Join(t.Mount, t.Place))
		if isGroup(name) {
			g.name = name
			g.parents = append(g.parents, parent{Tree: t, dir: filepath.Clean(dir)})
		}
	}
	if g.name == "" {
		return nil, fmt.Errorf("process %d is in no cgroup that box made: "+
			"box lsns lists processes in containers", pid)
	}
	return g, nil
}

// dir returns the group's directory in the tree that has a controller, or version 2's for "",
// and whether that is version 2; "" if there is none.
func (g *group) dir(controller string) (path string, v2 bool) {
	for _, p := range g.parents {
		if p.V2 && controller == "" || has(p.Tree, controller) {
			return filepath.Join(p.dir, g.name), p.V2
		}
	}
	return "", false
}

// setFrozen stops or resumes a group, and waits until its processes have done so. cgroup.freeze
// of version 2 needs no controller, so it also serves where the controllers are on version 1.
func setFrozen(pid int, frozen bool) error {
	g, err := groupOf(pid)
	if err != nil {
		return err
	}
	path, _ := g.dir("")
	if path == "" {
		return errors.New("pause needs a cgroup tree of version 2; " +
			"it may be mounted beside version 1: mount -t cgroup2 none DIR")
	}
	return setFrozenIn(path, frozen)
}

// setFrozenIn is setFrozen for the group's directory in the tree of version 2. A group that cannot
// be stopped as a whole goes on.
func setFrozenIn(path string, frozen bool) error {
	text, want := "0", "frozen 0"
	if frozen {
		text, want = "1", "frozen 1"
	}
	host := hostPlan()
	host.WriteFile(filepath.Join(path, "cgroup.freeze"), text)
	if err := host.Perform(nil); err != nil {
		return err
	}
	for range 1000 {
		events, err := os.ReadFile(filepath.Join(path, "cgroup.events"))
		if err != nil {
			return err
		}
		if strings.Contains(string(events), want) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	err := fmt.Errorf("%s is not %q after a second: "+
		"a process in it waits for something that cannot be interrupted", path, want)
	if frozen {
		err = errors.Join(err, setFrozenIn(path, false))
	}
	return err
}
