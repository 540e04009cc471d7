// Stage 02: where the control groups are mounted, which limits they offer, and whether
// this user may make a group there. Everything is read from mountinfo: there may be one
// tree of version 2, a tree for each controller of version 1, or both (hybrid). cgroups(7).
package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// hierarchy is one mounted tree of control groups.
type hierarchy struct {
	v2          bool
	dir         string   // where its root is mounted
	own         string   // the directory of the group that we are in
	controllers []string // what its root offers, by their v2 names; v2 adds devices and freezer
}

// The controllers that box has a flag for. Without the first three, stage 02 has little to show.
var wanted = []string{"memory", "cpu", "pids", "cpuset", "io", "devices", "freezer"}

// hierarchies lists the trees in mount order; one mounted twice counts once.
func (h *Host) hierarchies() (all []hierarchy) {
	seen := map[string]bool{}
	for _, m := range h.mounts() {
		key := m.fstype
		if m.fstype == "cgroup" {
			key = strings.Join(h.v1Controllers(m), ",")
		}
		if m.fstype != "cgroup" && m.fstype != "cgroup2" || key == "" || seen[key] {
			continue
		}
		seen[key] = true
		all = append(all, h.hierarchy(m))
	}
	return all
}

func (h *Host) hierarchy(m mountPoint) hierarchy {
	t := hierarchy{v2: m.fstype == "cgroup2", dir: m.dir, controllers: h.v1Controllers(m)}
	if t.v2 {
		t.controllers = strings.Fields(h.read(m.dir + "/cgroup.controllers"))
	}
	if t.v2 && len(t.controllers) > 0 { // devices are BPF programs there, the freezer is a file
		t.controllers = append(t.controllers, "devices", "freezer")
	}
	t.own = path.Join(m.dir, strings.TrimPrefix(h.ownPath(t), strings.TrimSuffix(m.root, "/")))
	if !within(t.own, m.dir) { // our group is above what this namespace shows
		t.own = m.dir
	}
	return t
}

// v1Controllers are those that a version 1 mount names among its options; none for a tree that only has a name.
func (h *Host) v1Controllers(m mountPoint) (names []string) {
	for _, option := range m.super {
		if option == "blkio" {
			option = "io"
		}
		if slices.Contains(wanted, option) {
			names = append(names, option)
		}
	}
	return names
}

// ownPath is our group in a tree, from its root, as /proc/self/cgroup has it: 4:memory:/a/b
func (h *Host) ownPath(t hierarchy) string {
	for _, line := range h.lines("/proc/self/cgroup") {
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 || t.v2 != (f[0] == "0" && f[1] == "") {
			continue
		}
		names := strings.Split(strings.ReplaceAll(f[1], "blkio", "io"), ",")
		if t.v2 || slices.Contains(names, t.controllers[0]) {
			return f[2]
		}
	}
	return "/"
}

// homes returns the trees of the given controllers, each once, and the controllers that have none.
func (h *Host) homes(controllers ...string) (trees []hierarchy, without []string) {
	all := h.hierarchies()
	for _, name := range controllers {
		i := slices.IndexFunc(all, func(t hierarchy) bool { return slices.Contains(t.controllers, name) })
		switch {
		case i < 0:
			without = append(without, name)
		case !slices.ContainsFunc(trees, func(t hierarchy) bool { return t.dir == all[i].dir }):
			trees = append(trees, all[i])
		}
	}
	return trees, without
}

func cgroupVersion(h *Host) Finding {
	all := h.hierarchies()
	v2 := slices.IndexFunc(all, func(t hierarchy) bool { return t.v2 })
	homes, _ := h.homes(wanted[:3]...)
	var dirs []string
	for _, t := range homes {
		dirs = append(dirs, t.dir)
	}
	at := strings.Join(dirs, ", ")
	switch {
	case len(all) == 0:
		return missing("no control groups are mounted", h.asRoot("mount -t cgroup2 cgroup2 /sys/fs/cgroup"))
	case len(homes) == 0:
		return fine("no controllers", "control groups without controllers are mounted at "+all[0].dir)
	case homes[0].v2:
		return fine("v2", "version 2 at "+at)
	case v2 >= 0:
		return fine("v1 (hybrid)", "hybrid: version 1 has the controllers, at "+at+"; version 2 is beside it, at "+all[v2].dir)
	}
	return fine("v1", "version 1 at "+at)
}

// controllers asks, on version 2, also the group that we are in: root enables them along
// the path, but an ordinary user has only what was delegated.
func controllers(h *Host) Finding {
	homes, without := h.homes(wanted...)
	if len(h.hierarchies()) == 0 {
		return Finding{}
	}
	told, mend := "no controller here for "+strings.Join(without, ", ")+": limits on it are refused", h.bootWith(without)
	switch {
	case slices.Equal(without[:min(3, len(without))], wanted[:3]):
		return missing(told, mend)
	case len(without) > 0:
		return limited(told, mend)
	case h.UID != 0 && homes[0].v2 && h.mayUse(homes[0]) == nil:
		return delegated(h, homes[0])
	}
	return fine("", "all that box has a flag for: "+strings.Join(wanted, " "))
}

// delegated compares what our group has with what its tree has.
func delegated(h *Host, t hierarchy) Finding {
	offered := strings.Fields(h.read(t.own + "/cgroup.controllers"))
	var without []string
	for _, name := range wanted[:5] { // devices and freezer need no delegation
		if !slices.Contains(offered, name) {
			without = append(without, name)
		}
	}
	if len(without) == 0 {
		return fine("", "delegated to "+h.User()+": "+strings.Join(offered, " "))
	}
	return limited("not delegated to "+h.User()+": "+strings.Join(without, ", "), h.delegateMore())
}

// bootWith is for a controller that the kernel has and that was switched off at boot.
func (h *Host) bootWith(without []string) string {
	for _, line := range h.lines("/proc/cgroups") {
		f := strings.Fields(line)
		if len(f) == 4 && f[3] == "0" && slices.Contains(without, strings.ReplaceAll(f[0], "blkio", "io")) {
			return "boot with cgroup_enable=" + f[0] + " on the kernel command line"
		}
	}
	return ""
}

// mayUse is nil when we may make a group in our own one and write its limits.
func (h *Host) mayUse(t hierarchy) error {
	files := []string{"", "cgroup.procs"}
	if t.v2 {
		files = append(files, "cgroup.subtree_control")
	}
	for _, file := range files {
		if err := h.Writes(path.Join(t.own, file)); err != nil {
			return fmt.Errorf("write to %s: %w", cmp.Or(file, "it"), err)
		}
	}
	return nil
}

func ownGroup(h *Host) Finding {
	homes, _ := h.homes(wanted[:3]...)
	if len(homes) == 0 {
		return Finding{}
	}
	var dirs []string
	for _, t := range homes {
		if err := h.mayUse(t); errors.Is(err, unix.EROFS) {
			return missing(fmt.Sprintf("no limits: %s is mounted read-only", t.dir), h.remount(t))
		} else if err != nil {
			return missing(fmt.Sprintf("no limits: we may make no group in %s (%v)", t.own, err), h.delegate(homes)...)
		}
		dirs = append(dirs, t.own)
	}
	return fine("", "we may make groups with limits in "+strings.Join(dirs, ", "))
}

func (h *Host) remount(t hierarchy) string {
	if h.container() != "" {
		return h.privileged()
	}
	return h.asRoot("mount -o remount,rw " + t.dir)
}

// systemd is true where systemd runs the user's session.
func (h *Host) systemd() bool {
	return h.exists("/run/systemd/system") && h.program("systemd-run") != ""
}

func (h *Host) scope() string {
	return "systemd-run --user --scope -p Delegate=yes $SHELL   # and go on in that shell"
}

// delegate is how a group comes to a user who has none: from systemd, or by hand, one in
// each tree with the shell in it.
func (h *Host) delegate(homes []hierarchy) []string {
	if h.systemd() && homes[0].v2 {
		return []string{h.scope()}
	}
	var dirs, commands []string
	for _, t := range homes {
		dirs = append(dirs, path.Join(t.dir, "box-"+h.User()))
		if t.v2 {
			handed := slices.DeleteFunc(slices.Clone(wanted[:5]), func(name string) bool { return !slices.Contains(t.controllers, name) })
			commands = append(commands, "echo +"+strings.Join(handed, " +")+" | "+h.asRoot("tee "+t.dir+"/cgroup.subtree_control"))
		}
	}
	all := strings.Join(dirs, " ")
	commands = append(commands, h.asRoot("mkdir -p "+all), h.asRoot(fmt.Sprintf("chown -R %s %s", h.User(), all)))
	for _, dir := range dirs {
		commands = append(commands, "echo $$ | "+h.asRoot("tee "+dir+"/cgroup.procs"))
	}
	return commands
}

// delegateMore lets the users' systemd hand on every controller.
func (h *Host) delegateMore() string {
	if !h.systemd() {
		return ""
	}
	return h.asRoot(`sh -c 'd=/etc/systemd/system/user@.service.d; mkdir -p $d && printf "[Service]\nDelegate=cpu cpuset io memory pids\n" >$d/delegate.conf && systemctl daemon-reload'`) +
		"   # then log in again"
}

func pressure(h *Host) Finding {
	if h.read("/proc/pressure/memory") != "" {
		return fine("", "pressure (PSI) is in /proc/pressure")
	}
	return limited("no /proc/pressure: box stats shows no pressure", "boot with psi=1 on the kernel command line")
}

// swapAccounting looks for the file that limits memory and swap together. The root group
// of version 2 has none, so the groups below it are asked.
func swapAccounting(h *Host) Finding {
	homes, _ := h.homes("memory")
	if len(homes) == 0 {
		return Finding{}
	}
	limit, name := "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
	if homes[0].v2 {
		limit, name = "memory.max", "memory.swap.max"
	}
	switch {
	case h.anyHas(homes[0], name):
		return fine("", name+" is there")
	case !h.anyHas(homes[0], limit): // memory is not yet enabled for any group: nothing is known
		return Finding{}
	}
	return limited("no "+name+": --memory-swap is refused, and a container may swap as it likes", "boot with swapaccount=1 on the kernel command line")
}

// anyHas looks for a file in our group, the root and the groups below the root.
func (h *Host) anyHas(t hierarchy, file string) bool {
	below, _ := fs.Glob(h.Files, rel(path.Join(t.dir, "*", file))) // the pattern is well-formed
	return len(below) > 0 || h.exists(path.Join(t.own, file)) || h.exists(path.Join(t.dir, file))
}
