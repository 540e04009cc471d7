// Limits and use: the files of control groups, cgroups(7). Version 2 has one tree, version 1
// a tree for each controller, and both can be mounted side by side. A box that has no group of
// its own has no figures of its own there either; then its processes are added up.
package live

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Group is a box's control group and its limits.
type Group struct {
	Version int      `json:"version"`       // 1 or 2, of the tree with the memory controller; 0 for none
	Path    string   `json:"path"`          // in that tree
	Own     bool     `json:"own"`           // no process of others is in it
	Memory  *Limit   `json:"memory"`        // bytes; null when there is no limit
	CPU     *Limit   `json:"cpu"`           // cores
	PIDs    *Limit   `json:"pids"`          // tasks
	Counted []string `json:"fromProcesses"` // figures that are added up from the processes
}

// Limit is the tightest of those that hold: a group's own, or of one above it.
type Limit struct {
	Value float64 `json:"value"`
	From  string  `json:"from,omitempty"` // the group above that has it
}

// Figures move all the time. Null is for what cannot be known.
type Figures struct {
	Memory    *int64 `json:"memory"`    // bytes
	CPU       *int64 `json:"cpu"`       // microseconds since the group exists
	PIDs      *int64 `json:"pids"`      // tasks
	Throttled *int64 `json:"throttled"` // times that the processor limit stopped it
	Killed    *int64 `json:"killed"`    // processes that the memory limit has ended
	Received  *int64 `json:"received"`  // bytes, all interfaces but loopback
	Sent      *int64 `json:"sent"`
}

// tree is a mounted hierarchy of groups.
type tree struct {
	dir, root   string // where it is mounted, and which group is seen there
	v2          bool
	controllers []string // of version 1
}

// trees finds them in mountinfo; one that is mounted twice counts once.
func trees(mounts []mountPoint) (all []tree) {
	seen := map[string]bool{}
	for _, m := range mounts {
		if m.fstype != "cgroup" && m.fstype != "cgroup2" || seen[m.device] {
			continue
		}
		seen[m.device] = true
		all = append(all, tree{m.at, m.root, m.fstype == "cgroup2", m.super})
	}
	return all
}

// account is a box's group with its limits, and its use.
func (r Roots) account(g *group, family family, trees []tree) (Group, Figures) {
	var group Group
	var use Figures
	a := accountant{r, g, family, trees}
	if p, ok := a.place("memory"); ok {
		group.Version, group.Path, group.Own = p.version(), p.path(), p.own
		group.Memory = p.limit("memory.max", "memory.limit_in_bytes")
		if p.own {
			use.Memory = p.number("memory.current", "memory.usage_in_bytes")
			use.Killed = p.field("memory.events", "memory.oom_control", "oom_kill")
		}
	}
	if p, ok := a.place("cpu"); ok {
		group.CPU = p.limit("cpu.max", "cpu.cfs_quota_us")
		if p.own {
			use.Throttled = p.field("cpu.stat", "cpu.stat", "nr_throttled")
		}
	}
	if p, ok := a.place("cpuacct"); ok && p.own {
		use.CPU = p.cpu()
	}
	if p, ok := a.place("pids"); ok {
		group.PIDs = p.limit("pids.max", "pids.max")
		if p.own {
			use.PIDs = p.number("pids.current", "pids.current")
		}
	}
	group.Counted = r.addUp(g, &use)
	return group, use
}

// accountant finds the places of a box in the trees.
type accountant struct {
	roots  Roots
	group  *group
	family family
	trees  []tree
}

// place is a group in one tree.
type place struct {
	roots Roots
	tree  tree
	dir   string // below the root that is seen
	own   bool
}

// place is where a controller has the box: the group that holds all of its processes and no
// others, or else that of the first.
func (a accountant) place(controller string) (place, bool) {
	t, ok := a.tree(controller)
	if !ok {
		return place{}, false
	}
	var all []string
	for _, pid := range a.group.pids[:min(listed, len(a.group.pids))] {
		if dir, ok := a.dir(pid, t, controller); ok {
			all = append(all, dir)
		}
	}
	if len(all) == 0 {
		return place{}, false
	}
	for _, dir := range []string{common(all), all[0]} {
		if dir != "/" && a.holdsOnly(path.Join(t.dir, dir)) {
			return place{a.roots, t, dir, true}, true
		}
	}
	return place{a.roots, t, all[0], false}, true
}

// tree with a controller; version 2 has what version 1 has not.
func (a accountant) tree(controller string) (found tree, ok bool) {
	for _, t := range a.trees {
		if !t.v2 && slices.Contains(t.controllers, controller) {
			return t, true
		}
		if t.v2 {
			found, ok = t, true
		}
	}
	return found, ok
}

// dir is a process's group as /proc/PID/cgroup has it, 4:memory:/a/b or 0::/a/b, below the
// group that is mounted.
func (a accountant) dir(pid int, t tree, controller string) (string, bool) {
	for _, line := range a.roots.lines(strconv.Itoa(pid), "cgroup") {
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		if t.v2 && f[0] == "0" || !t.v2 && slices.Contains(strings.Split(f[1], ","), controller) {
			return below(f[2], t.root)
		}
	}
	return "", false
}

// below is a path as it is seen from a directory above it.
func below(name, dir string) (string, bool) {
	if name == dir || dir == "/" {
		return path.Clean(name), !strings.HasPrefix(name, "/..")
	}
	rest, ok := strings.CutPrefix(name, dir+"/")
	return "/" + rest, ok
}

// common is the deepest directory that all have above them.
func common(all []string) string {
	dir := all[0]
	for _, other := range all[1:] {
		for dir != "/" && other != dir && !strings.HasPrefix(other, dir+"/") {
			dir = path.Dir(dir)
		}
	}
	return dir
}

// holdsOnly is true when no process of others is in a group or below it.
func (a accountant) holdsOnly(dir string) bool {
	for _, word := range strings.Fields(a.roots.read(path.Join(dir, "cgroup.procs"))) {
		if pid, err := strconv.Atoi(word); err != nil || !a.family.has(a.roots, pid) {
			return false
		}
	}
	entries, err := os.ReadDir(a.roots.real(dir))
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if entry.IsDir() && !a.holdsOnly(path.Join(dir, entry.Name())) {
			return false
		}
	}
	return true
}

// real is where a path of /sys is found.
func (r Roots) real(name string) string {
	if rest, ok := strings.CutPrefix(name, "/sys/"); ok {
		return filepath.Join(r.Sys, rest)
	}
	return name
}

// read is empty when the file cannot be read.
func (r Roots) read(name string) string {
	data, _ := os.ReadFile(r.real(name))
	return strings.TrimSpace(string(data))
}

func (p place) path() string { return p.dir }

func (p place) version() int {
	if p.tree.v2 {
		return 2
	}
	return 1
}

// read takes the file that this version has.
func (p place) read(dir, v2, v1 string) string {
	file := v1
	if p.tree.v2 {
		file = v2
	}
	return p.roots.read(path.Join(p.tree.dir, dir, file))
}

func (p place) number(v2, v1 string) *int64 {
	return parse(p.read(p.dir, v2, v1))
}

// field finds "name 12" in a file of such lines.
func (p place) field(v2, v1, name string) *int64 {
	for _, line := range strings.Split(p.read(p.dir, v2, v1), "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return parse(value)
		}
	}
	return nil
}

// cpu is in microseconds in version 2, and in nanoseconds in version 1.
func (p place) cpu() *int64 {
	if p.tree.v2 {
		return p.field("cpu.stat", "", "usage_usec")
	}
	n := p.number("", "cpuacct.usage")
	if n != nil {
		*n /= 1000
	}
	return n
}

// limit is the tightest from the group upwards.
func (p place) limit(v2, v1 string) (found *Limit) {
	for dir := p.dir; dir != "/" && dir != "."; dir = path.Dir(dir) {
		value, ok := p.limitOf(dir, v2, v1)
		if !ok || found != nil && found.Value <= value {
			continue
		}
		found = &Limit{Value: value}
		if dir != p.dir {
			found.From = dir
		}
	}
	return found
}

// limitOf reads one group's: "max", "200000 100000" of microseconds for the processor, or a number.
func (p place) limitOf(dir, v2, v1 string) (float64, bool) {
	text := p.read(dir, v2, v1)
	if v1 == "cpu.cfs_quota_us" && !p.tree.v2 {
		text += " " + p.read(dir, "", "cpu.cfs_period_us")
	}
	f := strings.Fields(text)
	if len(f) == 0 || f[0] == "max" {
		return 0, false
	}
	value, err := strconv.ParseFloat(f[0], 64)
	if err != nil || value < 0 || value >= 1<<62 { // version 1 says -1 or a very large number for none
		return 0, false
	}
	if len(f) == 2 {
		period, err := strconv.ParseFloat(f[1], 64)
		return value / period, err == nil && period > 0
	}
	return value, true
}

func parse(text string) *int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	return &n
}
