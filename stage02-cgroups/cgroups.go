// A cgroup holds a group of processes to limits and counts what they use (cgroups(7)).
// It is a directory: making one makes the group, writing files in it sets limits. In
// version 2 there is one tree with all controllers (memory, cpu, pids …); in version 1
// each has a tree of its own; many hosts have both. This file makes the container's group in
// the trees that package cgroupfs finds; limits.go says what is written there.

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage02-cgroups/cgroupfs"
)

// group is a container's cgroup, a directory of the same name in each tree that it needs.
type group struct {
	name    string
	parents []parent

	oomKilled bool // one of its processes was, as reportOOM has found
}

// parent is where in a tree the group's directory is made.
type parent struct {
	cgroupfs.Tree
	dir  string
	lock *plan.Call // opens the directory, on which box holds a lock; nil if it is not ours
}

// counted are the controllers of version 1 in which a group is made without a limit too,
// because they count what stats shows.
var counted = []string{
	"memory", "cpu", "cpuacct", "pids", "blkio",
}

// controllers returns those of a tree, under the names of its version.
func controllers(t cgroupfs.Tree) []string {
	if t.V2 {
		return cgroupfs.Words(filepath.Join(t.Mount, "cgroup.controllers"))
	}
	return t.Controllers
}

// has reports whether a tree has a controller.
func has(t cgroupfs.Tree, controller string) bool {
	return slices.Contains(controllers(t), controller)
}

// isCounted reports whether a tree of version 1 has one of the counted controllers.
func isCounted(t cgroupfs.Tree) bool {
	return !t.V2 && slices.ContainsFunc(counted, func(c string) bool { return has(t, c) })
}

// cgroup decides what the container may use: its group is made and given the limits
// before there is a process, which is then born inside, or joins first of all.
func cgroup(c *Container, p *Plan) (*group, error) {
	if err := c.Limits.Complete(); err != nil {
		return nil, err
	}
	settings := c.settings()
	g, err := findGroup(c.CgroupParent, settings)
	if err != nil {
		return nil, err
	}
	if !c.DryRun {
		g.sweep()
	}
	p.Section("cgroup: what it may use")
	g.name = g.freeName()
	for i := range g.parents {
		g.make(p, &g.parents[i])
	}
	for _, s := range settings {
		g.set(p.before, s)
	}
	if c.OOMScoreAdj != nil {
		p.WriteFile("/proc/self/oom_score_adj", fmt.Sprint(*c.OOMScoreAdj)).
			Why("who is killed first when the host runs out").
			Hint(unix.EACCES,
				"it takes CAP_SYS_RESOURCE to make a process less likely to be killed").
			Hint(unix.EINVAL, "it is a number from -1000 to 1000")
	}
	return g, nil
}

// findGroup chooses the trees and the place in each: the root of the tree for root, our own
// cgroup for an ordinary user to whom it was delegated. A user who has no such cgroup gets an
// empty group, and an error only for a limit.
func findGroup(at string, settings []setting) (*group, error) {
	all, err := cgroupfs.Trees(os.Getpid())
	if err != nil {
		return nil, err
	}
	g := &group{}
	for _, t := range all {
		dir := placeIn(t, at, settings)
		if dir == "" {
			continue
		}
		g.parents = append(g.parents, parent{Tree: t, dir: dir})
		if _, err := os.Stat(dir); at != "" && err != nil {
			return nil, fmt.Errorf("--cgroup-parent %s: %w; make it first: mkdir %s", at, err, dir)
		}
	}
	for _, s := range settings {
		if _, _, err := g.file(s); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// groupsMade counts the groups of this process.
var groupsMade atomic.Int32

// freeName returns a name that no group has: box-PID-NUMBER. Another box may have our number, in
// a PID namespace of its own.
func (g *group) freeName() string {
	for {
		name := fmt.Sprintf("box-%d-%d", os.Getpid(), groupsMade.Add(1))
		if !slices.ContainsFunc(g.parents, func(p parent) bool {
			return unix.Access(filepath.Join(p.dir, name), unix.F_OK) == nil
		}) {
			return name
		}
	}
}

// isGroup reports whether a name is that of a container's group: box- and numbers, which may be
// hexadecimal.
func isGroup(name string) bool {
	numbers, ours := strings.CutPrefix(name, "box-")
	return ours && numbers != "" && strings.Trim(numbers, "0123456789abcdef-") == ""
}

// placeIn returns the directory to make a group in, or "" for a tree that is not needed or
// not ours to write to.
func placeIn(t cgroupfs.Tree, at string, settings []setting) string {
	needed := t.V2 || isCounted(t) ||
		slices.ContainsFunc(settings, func(s setting) bool { return s.isIn(t) })
	dir := filepath.Join(t.Mount, filepath.Clean("/"+at)) // no ".." leads out of the tree
	switch {
	case !needed:
		return ""
	case at != "":
		return dir
	case unix.Access(t.Mount, unix.W_OK) == nil:
		return t.Mount
	case unix.Access(filepath.Join(t.Mount, t.Place, "cgroup.procs"), unix.W_OK) == nil:
		return filepath.Join(t.Mount, t.Place)
	}
	return ""
}

// file finds the file for a setting, and the value in its form.
func (g *group) file(s setting) (path, value string, err error) {
	for _, p := range g.parents {
		switch {
		case !s.isIn(p.Tree):
		case p.V2 && s.v2 == file{}:
			return "", "", fmt.Errorf("%s: version 2 of cgroups has no such setting", s.flag)
		case p.V2:
			return filepath.Join(p.dir, g.name, s.v2.name), s.v2.value, nil
		default:
			return filepath.Join(p.dir, g.name, s.v1.name), s.v1.value, nil
		}
	}
	if os.Geteuid() != 0 {
		return "", "", fmt.Errorf("%s needs a cgroup that you may write to; %s",
			s.flag, cgroupfs.HowToGetOne("/run/systemd/system"))
	}
	v1, _, _ := strings.Cut(s.v1.name, ".")
	return "", "", fmt.Errorf("%s: no cgroup tree that box can write to has the %s controller; "+
		"where the kernel has it (see /proc/cgroups), root mounts it: "+
		"mount -t cgroup -o %s none DIR", s.flag, s.controller, v1)
}

// make plans the group's directory in one tree. In version 2 the process is born there;
// in version 1 it goes in by itself: the kernel lets a thread move itself ("0" in tasks) at
// once, whereas moving another process takes some 14 ms. Until the directory is locked it has mode
// 0700: see isLeft.
func (g *group) make(p *Plan, in *parent) {
	dir := filepath.Join(in.dir, g.name)
	if in.V2 {
		g.delegate(p.before, *in)
	}
	p.before.Mkdir(dir, makingMode).Why("a cgroup: "+strings.Join(in.names(), ", ")).
		Hint(unix.EROFS,
			"the cgroup file system is mounted read-only: box needs one it can write to")
	in.lock = p.before.OpenDir(dir)
	p.before.Flock(in.lock.Result()).Why("a group is alive while a box holds its lock")
	p.before.Fchmod(in.lock.Result(), 0o755).Why("from here on, one without a lock is a leftover")
	if in.V2 {
		p.intoGroup(in.lock)
		return
	}
	if slices.Contains(in.Controllers, "cpuset") { // a new one has no CPU and no memory node
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			all, _ := os.ReadFile(filepath.Join(in.dir, file))
			p.before.WriteFile(filepath.Join(dir, file), strings.TrimSpace(string(all)))
		}
	}
	p.WriteFile(filepath.Join(dir, "tasks"), "0").Why("go in: " + strings.Join(in.names(), ", "))
}

func (p parent) names() []string {
	if p.V2 {
		return []string{"version 2"}
	}
	return p.Controllers
}

// delegate lets groups below a place of version 2 have its controllers. A group with processes
// of its own may not do that (the "no internal processes" rule), so if box is there, it moves
// to a group beside the container's.
func (g *group) delegate(h *Plan, in parent) {
	list := slices.DeleteFunc(controllers(in.Tree), func(c string) bool {
		return !slices.Contains([]string{"cpu", "cpuset", "io", "memory", "pids"}, c)
	})
	if len(list) == 0 {
		return
	}
	procs := cgroupfs.Words(filepath.Join(in.dir, "cgroup.procs"))
	if in.dir != in.Mount && slices.Contains(procs, fmt.Sprint(os.Getpid())) {
		aside := filepath.Join(in.dir, "box")
		h.Mkdir(aside, 0o755).Tolerate(unix.EEXIST)
		h.WriteFile(filepath.Join(aside, "cgroup.procs"), "0").
			Why("no group may have both processes and groups with limits")
	}
	for _, dir := range cgroupfs.Chain(in.Mount, in.dir) {
		file := filepath.Join(dir, "cgroup.subtree_control")
		enabled := cgroupfs.Words(file)
		missing := slices.DeleteFunc(slices.Clone(list), func(c string) bool {
			return slices.Contains(enabled, c)
		})
		if len(missing) > 0 {
			h.WriteFile(file, "+"+strings.Join(missing, " +")).
				Why("let groups below have these controllers").
				Hint(unix.EBUSY, "processes live in this cgroup itself: start box in one of its "+
					"own, with systemd-run --user --scope -p Delegate=yes")
		}
	}
}

// set plans one limit: what is written is read back, because the kernel may round it.
func (g *group) set(h *Plan, s setting) {
	path, value, err := g.file(s)
	if err != nil || value == "" { // version 1 has no such file
		return
	}
	fd := h.Add("openat", unix.SYS_OPENAT, plan.Cwd, path,
		plan.Sym(unix.O_RDWR|unix.O_CLOEXEC, "O_RDWR|O_CLOEXEC")).
		Hint(unix.ENOENT, "this kernel was built or booted without "+s.flag).Result()
	h.Write(fd, value).Why(s.flag).
		Hint(unix.EINVAL, "the kernel does not take this value for "+s.flag).
		Hint(unix.EBUSY, "more is in use already than "+s.flag+" would allow")
	h.ReadBack(fd, value)
	h.Close(fd)
}

// sweep removes the groups of boxes that were killed before they could do it.
func (g *group) sweep() {
	alive := map[string]bool{} // by name: one lock is enough
	for _, p := range g.v2First() {
		groups, _ := os.ReadDir(p.dir)
		for _, entry := range groups {
			name := entry.Name()
			if !isGroup(name) || alive[name] {
				continue
			}
			dir := filepath.Join(p.dir, name)
			fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil { // it was removed meanwhile
				continue
			}
			if isLeft(fd) {
				p.remove(name)
			} else {
				alive[name] = true
			}
			unix.Close(fd)
		}
	}
}

// makingMode is the mode of a group's directory until it is locked.
const makingMode = 0o700

// isLeft reports whether a group is a leftover, and then locks it. The lock holds across PID
// namespaces; a box's number may there be another process's, or be hidden. A box that has made
// a group has ten seconds to lock it.
func isLeft(fd int) bool {
	var st unix.Stat_t
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil || unix.Fstat(fd, &st) != nil {
		return false
	}
	return st.Mode&0o777 != makingMode || time.Since(time.Unix(st.Ctim.Unix())) > 10*time.Second
}

// end reports a process that was killed for want of memory, and removes the group, as far as
// it was made.
func (g *group) end() {
	g.parents = slices.DeleteFunc(g.parents, func(p parent) bool {
		return p.lock == nil || !p.lock.Done() || p.lock.Errno != 0
	})
	g.reportOOM()
	for _, p := range g.v2First() {
		p.remove(g.name)
		unix.Close(int(p.lock.Ret))
	}
}

// v2First returns the parents in the order in which groups are removed from them: version 2, of
// which there is one tree at most, can kill what is left in all of them.
func (g *group) v2First() []parent {
	list := slices.Clone(g.parents)
	if i := slices.IndexFunc(list, func(p parent) bool { return p.V2 }); i > 0 {
		list[0], list[i] = list[i], list[0]
	}
	return list
}

// remove removes a group, and first what still runs in it.
func (p parent) remove(name string) {
	dir := filepath.Join(p.dir, name)
	if err := removeGroup(dir); err != nil {
		fmt.Fprintf(os.Stderr, "box: rmdir(%q): %v: the cgroup was left behind\n", dir, err)
	}
}

// removeGroup kills the processes that are left in a group and removes its directory, after those
// of the groups below. It tries again for a second: a killed process is in its group until it has
// ended.
func removeGroup(dir string) (err error) {
	for range 1000 {
		if err = cgroupfs.Remove(dir); err == nil {
			return nil
		}
		killGroup(dir)
		time.Sleep(time.Millisecond)
	}
	return err
}

// killGroup kills the processes of a group. In version 2 the kernel does it, also with those that
// are being made, or that have no number in our PID namespace.
func killGroup(dir string) {
	if os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	for _, pid := range cgroupfs.Numbers(dir, "cgroup.procs") {
		if pid > 0 {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// joinGroup lets a process that exec brings in join the container's group in every tree in which
// box is not in that group already.
func joinGroup(pid int, p *Plan) error {
	all, err := cgroupfs.Trees(pid)
	if err != nil {
		return err
	}
	ours, err := cgroupfs.Trees(os.Getpid())
	if err != nil {
		return err
	}
	for _, t := range all {
		here := func(o cgroupfs.Tree) bool { return o.Mount == t.Mount && o.Place == t.Place }
		if slices.ContainsFunc(ours, here) {
			continue
		}
		dir := filepath.Join(t.Mount, t.Place)
		if cgroupfs.Field(filepath.Join(dir, "cgroup.events"), "frozen") == 1 {
			return fmt.Errorf("process %d is paused, and the command would be too: box "+
				"unpause %[1]d resumes it", pid)
		}
		if !t.V2 {
			p.WriteFile(filepath.Join(dir, "tasks"), "0").
				Why("go in: " + strings.Join(t.Controllers, ", "))
			continue
		}
		p.intoGroup(p.before.OpenDir(dir))
	}
	return nil
}

// Mkdir is mkdirat(2).
func (p *Plan) Mkdir(path string, mode uintptr) *plan.Call {
	return p.Add("mkdirat", unix.SYS_MKDIRAT, plan.Cwd, path,
		plan.Sym(mode, fmt.Sprintf("%#o", mode)))
}

// Fchmod is fchmod(2).
func (p *Plan) Fchmod(fd plan.Arg, mode uintptr) *plan.Call {
	return p.Add("fchmod", unix.SYS_FCHMOD, fd, plan.Sym(mode, fmt.Sprintf("%#o", mode)))
}

// OpenDir is openat(2) of a directory.
func (p *Plan) OpenDir(path string) *plan.Call {
	return p.Add("openat", unix.SYS_OPENAT, plan.Cwd, path,
		plan.Sym(unix.O_RDONLY|unix.O_CLOEXEC|unix.O_DIRECTORY, "O_RDONLY|O_CLOEXEC|O_DIRECTORY"))
}

// Flock is flock(2), which waits for the lock.
func (p *Plan) Flock(fd plan.Arg) *plan.Call {
	return p.Add("flock", unix.SYS_FLOCK, fd, plan.Sym(unix.LOCK_EX, "LOCK_EX"))
}

// intoGroup has clone3(2) create the process in the group whose directory open opens.
func (p *Plan) intoGroup(open *plan.Call) {
	p.Clone.Flags |= unix.CLONE_INTO_CGROUP
	open.Then(func() { p.Clone.Cgroup = uint64(open.Ret) })
}

// ReadBack is pread64(2) of a small file that wanted was written to; the narration says so
// when the kernel has made something else of it.
func (p *Plan) ReadBack(fd plan.Arg, wanted string) *plan.Call {
	buf := new([128]byte)
	c := p.Add("pread64", unix.SYS_PREAD64, fd,
		plan.Ptr(unsafe.Pointer(buf), plan.Quote(wanted+"\n")), len(buf), 0)
	c.Then(func() {
		got := string(buf[:c.Ret])
		c.SetText(1, plan.Quote(got))
		for word := range strings.FieldsSeq(wanted) {
			if !slices.Contains(strings.Fields(got), word) {
				c.Why("the kernel made " + strings.TrimSpace(got) + " of it")
			}
		}
	})
	return c
}

// cgroupsHere is a line of box info.
func cgroupsHere() (string, error) {
	all, err := cgroupfs.Trees(os.Getpid())
	var list []string
	for _, t := range all {
		if t.V2 {
			list = append(list, "version 2 at "+t.Mount+": "+strings.Join(controllers(t), " "))
		} else if isCounted(t) {
			list = append(list, "version 1 at "+t.Mount)
		}
	}
	return strings.Join(list, "; "), err
}
