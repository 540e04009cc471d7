// A root of its own: pivot_root(2) makes a directory the root of everything the container
// sees, and takes the host's files out of its reach. It is done in three steps. New
// mounts, and those that come from outside, are made while the host is still in sight, and
// attached nowhere. Then the root changes. Only then is everything attached, inside, where no path
// and no symbolic link of a hostile root can lead out any more.

package main

import (
	"cmp"
	"errors"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage01-namespaces/subid"
	"stagebox/stage03-rootfs/rootdir"
)

// root decides what the container sees of the files.
func root(c *Container, p *Plan, g *group, who *identity) error {
	if c.Rootfs == "" {
		return c.needsRoot()
	}
	if p.Clone.Flags&unix.CLONE_NEWNS == 0 {
		return errors.New("--rootfs with --share mnt would change the host's own root: " +
			"leave one of the two out")
	}
	r := &newRoot{Container: c, Plan: p}
	if err := r.guardSelf(); err != nil {
		return err
	}
	binds, err := c.binds()
	if err != nil {
		return err
	}
	if err := c.openVolumes(binds); err != nil {
		return err
	}
	if err := r.guard(g); err != nil {
		return err
	}
	p.Section("root: a directory that becomes /")
	p.Umask(0).Why("what is made below gets exactly the mode that is named")
	r.enter()
	proc, err := r.collectMounts(g, binds)
	if err != nil {
		return err
	}
	r.pivot()
	r.attach()
	if c.TTY {
		r.openConsole(who.uid)
	}
	if err := r.protect(proc); err != nil {
		return err
	}
	if c.ReadOnly {
		top := p.OpenPath("/", unix.O_DIRECTORY, 0).Result()
		p.SetMountAlone(top, rdOnly).Why("--read-only; what lies on it stays as it is")
	}
	p.Umask(0o022)
	return nil
}

// newRoot is a root while it is planned.
type newRoot struct {
	*Container
	*Plan
	dev     plan.Arg // the mount of /dev
	trees   plan.Arg // the mount of /sys/fs/cgroup, where it has directories of its own
	mounted []pendingMount
}

// pendingMount is a mount that is not attached yet.
type pendingMount struct {
	mount  plan.Arg
	target string
	isDir  bool
	exact  bool // the path may hold no symbolic link
	made   bool // the place is there already
}

// enter mounts the union of the layers, which pivot_root then makes the root.
func (r *newRoot) enter() { r.record.overlay().mount(r.Plan) }

// collectMounts makes or copies every mount that the root will have.
func (r *newRoot) collectMounts(g *group, binds []bind) (proc plan.Arg, err error) {
	if r.owns(unix.CLONE_NEWPID) {
		proc = r.NewMount("proc", noSuid|noDev|noExec)
	} else {
		proc = r.CopyMount(plan.Cwd, "/proc").
			Why("the host's, as its processes are shared").Result()
	}
	r.queueMount(pendingMount{mount: r.sys(), target: "/sys", isDir: true, exact: true})
	if err := r.devices(); err != nil {
		return proc, err
	}
	r.Section("mounts: the cgroups and what -v names, attached nowhere yet")
	r.cgroups(g, "/sys/fs/cgroup", r.sysAttrs(), true)
	if dir := path.Clean("/" + r.Workdir); dir != "/" && !strings.HasPrefix(dir, "/proc/") {
		r.queueMount(pendingMount{target: dir, isDir: true})
	}
	for _, b := range binds {
		mount := r.bind(b)
		r.queueMount(pendingMount{mount: mount, target: b.Target, isDir: b.IsDir})
	}
	r.names(binds)
	// Last: see attach.
	r.queueMount(pendingMount{mount: proc, target: "/proc", isDir: true, exact: true})
	return proc, nil
}

// queueMount queues a mount for attach.
func (r *newRoot) queueMount(m pendingMount) { r.mounted = append(r.mounted, m) }

// pivot makes the directory the root, and takes the old root away.
func (r *newRoot) pivot() {
	r.Section("pivot: the new root takes the place of the old one")
	r.PivotRoot(".", ".").Why("the new root; the old one now lies on top of it").
		Look("ls /proc/PID/root").
		Hint(unix.EBUSY, "this directory is the root already: name another one").
		Hint(unix.EINVAL, "pivot_root cannot leave the root file system that the kernel started "+
			"with (initramfs): switch_root to another first")
	r.Detach(".").Why("and the old one is gone: from here no path leads out").Look("findmnt -N PID")
}

// sys makes /sys. The network's part of it belongs to the owner of the network namespace, so a
// user who shares the host's network gets the host's /sys.
func (r *newRoot) sys() plan.Arg {
	if r.Clone.Flags&unix.CLONE_NEWUSER != 0 && r.Clone.Flags&unix.CLONE_NEWNET == 0 {
		sys := r.CopyMount(plan.Cwd, "/sys").Why("the host's, as its network is shared").Result()
		r.SetMount(sys, r.sysAttrs())
		return sys
	}
	return r.NewMount("sysfs", r.sysAttrs())
}

// sysAttrs are the attributes of /sys and of the cgroups.
func (r *newRoot) sysAttrs() uint64 {
	if r.Privileged {
		return noSuid | noDev | noExec
	}
	return noSuid | noDev | noExec | rdOnly
}

// cgroups shows the container's own groups, in either version, in a directory, which is there
// already or has to be made.
func (r *newRoot) cgroups(g *group, dir string, attrs uint64, there bool) {
	many := len(g.parents) > 1
	if many { // the trees are side by side, in a directory made for them
		r.trees = r.NewMount("tmpfs", attrs&^rdOnly, "mode=755", "size=64k")
		r.queueMount(pendingMount{mount: r.trees, target: dir, isDir: true, made: there})
	}
	for _, parent := range g.parents {
		mount := r.CopyMount(plan.Cwd, filepath.Join(parent.dir, g.name)).
			Why("its own cgroup, in " + strings.Join(parent.names(), ", ")).Result()
		r.SetMount(mount, attrs)
		target := dir
		if many {
			target = path.Join(dir, filepath.Base(parent.Mount))
			r.MkdirAt(r.trees, filepath.Base(parent.Mount))
		}
		r.queueMount(pendingMount{mount: mount, target: target, isDir: true, made: there || many})
	}
}

// attach puts every mount in its place, in the order in which they were queued: /proc last, because
// until then no magic link, such as /proc/self/fd/7, can be in the way.
func (r *newRoot) attach() {
	r.Section("attach: each mount in its place, from inside")
	for _, m := range r.mounted {
		r.mountPoint(m)
		if !m.mount.IsSet() {
			continue // it only has to exist
		}
		r.Attach(m.mount, r.place(m), "").Why(m.target).
			Hint(unix.EINVAL, "a file can only be mounted on a file, and "+
				m.target+" in the root is a directory")
	}
}

// place opens the place of a mount. No link leads out of the root.
func (r *newRoot) place(m pendingMount) plan.Arg {
	resolve, flags := uint64(unix.RESOLVE_IN_ROOT), uint64(0)
	if m.exact {
		resolve = unix.RESOLVE_NO_SYMLINKS
	}
	if m.isDir {
		flags = unix.O_DIRECTORY
	}
	return r.OpenPath(m.target, flags, resolve).
		Hint(unix.ELOOP, m.target+" in the root is a symbolic link, "+
			"which box does not follow here: make it a directory").
		Hint(unix.ENOTDIR, m.target+" in the root is not a directory").
		Hint(unix.ENOENT, m.target+" in the root cannot be made, or is a link to nowhere").
		Result()
}

// mountPoint makes the directory or the empty file that a mount needs to lie on. An existing
// one will do.
func (r *newRoot) mountPoint(m pendingMount) {
	if m.made {
		return
	}
	parts := strings.Split(strings.Trim(m.target, "/"), "/")
	for i := range parts {
		prefix := "/" + path.Join(parts[:i+1]...)
		if i == len(parts)-1 && !m.isDir {
			r.Mknod(plan.Cwd, prefix, unix.S_IFREG|0o644, 0, 0).Tolerate(unix.EEXIST).
				Hint(unix.EROFS, "its directory is read-only: make this file there yourself").
				Hint(unix.EACCES, "its directory is another user's, who has to make this file")
			continue
		}
		r.MkdirAt(plan.Cwd, prefix).
			Hint(unix.EROFS, "the root is on a file system that is mounted read-only: "+
				"make this directory there yourself").
			Hint(unix.EACCES, "the root belongs to another user, who has to make this directory")
	}
}

// maps reports whether the id of a user or group is mapped in the container.
func (r *newRoot) maps(id int) bool {
	if r.Clone.Flags&unix.CLONE_NEWUSER == 0 {
		return true
	}
	_, groups, err := subid.Grants()
	return err == nil && len(groups) > 0 && id > 0
}

// openInside opens a file of the root as a process inside would. Magic links, such as
// /proc/PID/fd/N, are never followed.
func (c *Container) openInside(path string, flags uint64) (int, error) {
	if c.record != nil {
		return c.record.openInside(path, int(flags))
	}
	return rootdir.Open(cmp.Or(c.Rootfs, "/"), path, flags)
}

// checkRoot replaces the path of the root by the one without links.
func (c *Container) checkRoot() (err error) {
	if c.Rootfs != "" {
		c.Rootfs, err = rootdir.Check(c.Rootfs)
	}
	return err
}
