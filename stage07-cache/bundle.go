// An OCI bundle is a directory with a root and a file, config.json, that says how to run it (the
// OCI Runtime Specification). Engines like podman and containerd write it, and an OCI runtime
// makes the container of it. Here each part of the file becomes a part of the plan: read compose,
// then the function of the part you look for. Package runtimespec reads the file (Load) and
// translates its words.

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage03-rootfs/devnode"
	"stagebox/stage05-images/runtimelimits"
	"stagebox/stage05-images/runtimespec"
)

// bundle is a container that is described by a config.json.
type bundle struct {
	*specs.Spec
	*newRoot
	dir   string // the directory of config.json
	id    string
	group *group
	keep  int      // how many descriptors the program gets beside the standard ones
	fifo  int      // where the process waits for start; 0 if it does not
	input *os.File // the standard input of a hook; nil for that of box

	ns     runtimespec.Namespaces
	isDry  bool     // the plan is only printed
	groups []string // the directories of its cgroups, which go with it

	warn func(text string) // says what could not be done in full
	hook func(kind string, hook specs.Hook, pid string) error
}

// compose plans the container's whole life, one part of config.json after another.
func (b *bundle) compose(p *Plan) error {
	c := &Container{Files: Files{Rootfs: b.Root.Path}}
	c.TTY, c.ReadOnly = b.Process.Terminal, b.Root.Readonly
	b.newRoot = &newRoot{Container: c, Plan: p}
	p.DetachTerminal()
	if c.TTY {
		p.console = &console{opened: func(*os.File) {}}
		if size := b.Process.ConsoleSize; size != nil {
			p.console.size = unix.Winsize{Row: uint16(size.Height), Col: uint16(size.Width)}
		}
	}
	for _, part := range []func() error{b.cgroup, b.namespaces, b.files, b.process} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// cgroup makes linux.cgroupsPath in every tree, and writes linux.resources.
func (b *bundle) cgroup() error {
	b.Section("cgroup: what it may use")
	var list []setting
	for _, s := range runtimelimits.Of(b.Linux.Resources, cgroupfs.HasBFQ("/sys/block")) {
		v2, v1 := file{s.V2.Name, s.V2.Value}, file{s.V1.Name, s.V1.Value}
		list = append(list, setting{s.Field, s.Controller, v2, v1})
	}
	g, err := findGroup("", list)
	if err != nil {
		return err
	}
	at := filepath.Join("/", b.Linux.CgroupsPath)
	if at == "/" {
		at = "/stagebox-" + b.id
	}
	g.name = filepath.Base(at)
	for i := range g.parents {
		in := filepath.Join(g.parents[i].dir, at)
		if busy := len(cgroupfs.Numbers(in, "cgroup.procs")); busy > 0 && !b.isDry {
			return fmt.Errorf("linux.cgroupsPath %s: processes are in this cgroup: %d; give the "+
				"container one of its own", at, busy)
		}
		b.makeGroup(g, &g.parents[i], filepath.Dir(at))
	}
	for _, s := range list {
		if _, value, err := g.file(s); err == nil && value == "" {
			b.warn(s.flag + ": this host's cgroups have no such limit, and it was ignored")
		}
		g.set(b.before, s)
	}
	b.group = g
	rules, all, err := runtimespec.Devices(b.Linux.Resources.Devices, allowed(devnode.Default))
	if err != nil || all || b.hasUserNamespace() {
		return err
	}
	return b.allowOnly(g, rules)
}

// makeGroup makes a group that outlives box, and the ones above it. Its process goes in as in
// group.make.
func (b *bundle) makeGroup(g *group, in *parent, above string) {
	for part := range strings.SplitSeq(strings.Trim(above, "/")+"/"+g.name, "/") {
		if in.V2 {
			g.delegate(b.before, *in)
		}
		dir := filepath.Join(in.dir, part)
		b.before.Mkdir(dir, 0o755).Tolerate(unix.EEXIST).
			Why("a cgroup: " + strings.Join(in.names(), ", "))
		if slices.Contains(in.Controllers, "cpuset") && !exists(dir) {
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				all, _ := os.ReadFile(filepath.Join(in.Mount, file))
				b.before.WriteFile(filepath.Join(dir, file), strings.TrimSpace(string(all)))
			}
		}
		in.dir = dir
	}
	dir := in.dir
	in.dir, b.groups = filepath.Dir(dir), append(b.groups, dir)
	if in.V2 {
		b.intoGroup(b.before.OpenDir(dir))
		return
	}
	b.WriteFile(filepath.Join(dir, "tasks"), "0").Why("go in: " + strings.Join(in.names(), ", "))
}

// namespaces makes the namespaces that have no path, and joins the others, before it makes a user
// namespace, in which it has no rights over them.
func (b *bundle) namespaces() error {
	b.Section("namespaces: what it sees of the system")
	b.Clone.Flags |= b.ns.BornWith()
	for _, ns := range b.ns.Joined {
		b.Setns(plan.Num(ns.FD), ns.Flag).Why(ns.Path)
		if ns.Flag == unix.CLONE_NEWUSER {
			b.Setresid(0, 0)
		}
	}
	if b.ns.Unshares() {
		b.Unshare(b.ns.New &^ unix.CLONE_NEWCGROUP)
	}
	for _, line := range runtimespec.TimeOffsets(b.Spec) {
		b.WriteFile("/proc/self/timens_offsets", line).Why("another time since boot")
	}
	if b.ns.Forks() {
		b.Fork(unix.CLONE_PARENT).Why("only a child is inside")
	}
	b.insideNamespaces()
	return nil
}

// insideNamespaces maps the ids, runs the first hooks, and names the new namespaces.
func (b *bundle) insideNamespaces() {
	isNew := func(flag uint64) bool { return b.ns.New&flag != 0 }
	b.WhileHeld(func(h *Plan, pid string) {
		if isNew(unix.CLONE_NEWUSER) {
			b.mapIDs(h, pid)
		}
		b.hookAt(h, "prestart", pid)
		b.hookAt(h, "createRuntime", pid)
	})
	b.Handshake()
	b.Section("namespaces: what is in them")
	if isNew(unix.CLONE_NEWUSER) {
		b.Setresid(0, 0)
	}
	if isNew(unix.CLONE_NEWCGROUP) {
		b.Unshare(unix.CLONE_NEWCGROUP).Why("the cgroup it is in now becomes the root it sees")
	}
	if b.Hostname != "" {
		b.Sethostname(b.Hostname)
	}
	if b.Domainname != "" {
		b.Setdomainname(b.Domainname)
	}
	if isNew(unix.CLONE_NEWNET) {
		socket := b.Plan.Socket().Result()
		b.LinkUp(socket, "lo")
		b.Close(socket)
	}
}

// files makes root and mounts the container's root.
func (b *bundle) files() error {
	propagation, first, err := runtimespec.Propagation(b.Linux.RootfsPropagation)
	if err != nil {
		return err
	}
	b.Section("root: a directory that becomes /")
	b.Plan.Mount("", "/", "", first, "").Why("no mount made in here shows outside")
	b.Umask(0)
	b.Plan.Mount(b.Rootfs, b.Rootfs, "", unix.MS_BIND|unix.MS_REC, "").
		Why("pivot_root wants a mount: the directory, bound onto itself")
	b.Chdir(b.Rootfs)
	b.Section("mounts: each is made, and attached nowhere yet")
	for i, m := range b.Mounts {
		if err := b.mount(m); err != nil {
			return fmt.Errorf("mounts[%d] (%s): %w", i, m.Destination, err)
		}
	}
	if b.hasUserNamespace() { // where no device can be made
		for _, d := range devnode.Default {
			mount := b.CopyMount(plan.Cwd, d.Source).Why("the host's").Result()
			b.queueMount(pendingMount{mount: mount, target: d.Target})
		}
	}
	b.queueMount(pendingMount{target: path.Clean(b.Process.Cwd), isDir: true})
	if len(b.Hooks.CreateContainer) > 0 {
		b.Sync(func(h *Plan, pid string) { b.hookAt(h, "createContainer", pid) })
	}
	return b.enterRoot(propagation)
}

// enterRoot makes the container's root the root, and attaches to it what belongs inside.
func (b *bundle) enterRoot(propagation uint64) error {
	b.Section("pivot: the new root takes the place of the old one")
	b.PivotRoot(".", ".").Why("the new root; the old one now lies on top of it")
	b.Detach(".").Why("and the old one is gone: from here no path leads out")
	b.attach()
	err := errors.Join(b.nodesInDev(), b.hide())
	if b.Root.Readonly {
		b.SetMountAlone(b.OpenPath("/", unix.O_DIRECTORY, 0).Result(), rdOnly).Why("root.readonly")
	}
	if b.Linux.RootfsPropagation != "" {
		b.Plan.Mount("", "/", "", propagation, "").Why("linux.rootfsPropagation")
	}
	return err
}

// mount makes one of mounts, or copies it from the host, and queues it for its place.
func (b *bundle) mount(m specs.Mount) error {
	o, err := runtimespec.ParseMount(m)
	if err != nil {
		return err
	}
	m.Destination = path.Join("/", m.Destination)
	at := pendingMount{target: m.Destination, isDir: true}
	switch {
	case m.Type == "cgroup" || m.Type == "cgroup2":
		b.cgroups(b.group, m.Destination, o.Set, false)
		if b.trees.IsSet() && o.Set&rdOnly != 0 {
			b.SetMountAlone(b.trees, rdOnly)
		}
		return nil
	case o.Bind:
		if at.mount, at.isDir, err = b.copied(m, o); err != nil {
			return err
		}
	case o.IDMap != "" || o.CopyUp && !runtimespec.IsBare(b.Spec, m.Destination):
		return errors.New("an id-mapped or copied-up mount of a new file system is not supported")
	default:
		at.mount = b.NewMount(m.Type, o.Set, o.Data...)
		at.exact = m.Type == "proc" || m.Type == "sysfs"
		b.setOptions(at.mount, o)
	}
	b.queueMount(at)
	return nil
}

// copied copies a mount of the host's. One that is to follow the host's is copied by the host: the
// process's own are private by then. So is one for a user namespace, in which the process may have
// no right to its path or to map its ids.
func (b *bundle) copied(m specs.Mount, o runtimespec.Options) (
	mount plan.Arg, isDir bool, err error) {
	info, err := os.Stat(m.Source)
	if err != nil {
		return mount, false, fmt.Errorf("source: %w", err)
	}
	by := b.Plan
	follows := o.Propagation&^unix.MS_REC&^unix.MS_PRIVATE != 0
	if follows || o.IDMap != "" || b.hasUserNamespace() && os.Geteuid() == 0 {
		by = b.before
	}
	if o.Recursive {
		mount = by.CopyMount(plan.Cwd, m.Source).Result()
	} else {
		mount = by.CopyMountAlone(plan.Cwd, m.Source).Result()
	}
	if o.IDMap != "" {
		namespace, err := b.idNamespace(m)
		if err != nil {
			return mount, false, err
		}
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(namespace)}
		by.setMount(mount, attr, unix.AT_EMPTY_PATH).Why("its files have other owners inside")
	}
	by.setOptions(mount, o)
	return mount, info.IsDir(), nil
}

// setOptions gives a mount what it does not have from the start, those below it too where asked.
func (p *Plan) setOptions(mount plan.Arg, o runtimespec.Options) {
	for _, change := range o.Changes() {
		p.setMount(mount, change.MountAttr, unix.AT_EMPTY_PATH|change.Flags)
	}
}

// nodesInDev makes linux.devices, those that every container has, and the terminal, unless /dev is
// the host's.
func (b *bundle) nodesInDev() error {
	b.Section("dev: the devices that it has")
	b.MkdirAt(plan.Cwd, "/dev").Tolerate(unix.EEXIST)
	b.dev = b.OpenPath("/dev", unix.O_DIRECTORY, unix.RESOLVE_NO_SYMLINKS).Result()
	if !runtimespec.HasHostsDev(b.Spec) {
		for _, d := range devnode.Default {
			if b.hasUserNamespace() {
				break
			}
			b.Mknod(b.dev, path.Base(d.Target), d.Kind|d.Mode, d.Major, d.Minor).
				Tolerate(unix.EEXIST)
		}
		for _, link := range devnode.Links() {
			b.Symlink(link.Target, b.dev, link.Name).Tolerate(unix.EEXIST)
		}
		for i, d := range b.Linux.Devices {
			if err := b.device(d); err != nil {
				return fmt.Errorf("linux.devices[%d]: %w", i, err)
			}
		}
	}
	if b.TTY {
		b.openConsole(int(b.Process.User.UID))
	}
	return nil
}

// hide writes linux.sysctl, and covers linux.readonlyPaths and linux.maskedPaths.
func (b *bundle) hide() error {
	b.Section("hide: what would reveal the host, or change it")
	settings, err := runtimespec.Sysctls(b.Spec)
	if err != nil {
		return err
	}
	for _, s := range settings {
		b.WriteFile(s.File, s.Value).Why("linux.sysctl")
	}
	for _, at := range runtimespec.Present(b.Spec, b.Linux.ReadonlyPaths) {
		mount := b.CopyMount(plan.Cwd, at.Path).Result()
		b.SetMount(mount, rdOnly)
		b.Attach(mount, plan.Cwd, at.Path).Why(at.Path + " to be read only")
	}
	for _, at := range runtimespec.Present(b.Spec, b.Linux.MaskedPaths) {
		b.mask(at.Path, at.IsDir, rdOnly)
	}
	return nil
}

// process plans the program. With a FIFO it waits there for start, just before it begins.
func (b *bundle) process() error {
	file, err := b.restrict(b.Process)
	if err != nil {
		return err
	}
	if b.fifo != 0 {
		b.Park(plan.Num(b.fifo)).Why("wait for start")
	} else if len(b.Hooks.StartContainer) > 0 {
		b.Sync(func(h *Plan, pid string) { b.hookAt(h, "startContainer", pid) })
	}
	b.Section("command: become the program")
	b.Become(file, b.Process.Args, b.Process.Env)
	b.reportExecve()
	return nil
}
