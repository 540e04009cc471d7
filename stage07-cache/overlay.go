// A union file system shows several directories as one (overlayfs in the kernel's
// Documentation/filesystems). The lower ones are only read, and many containers can share
// them. Changes of a container are in its upper directory alone: a file that it writes to is
// copied up first, and one that it deletes is covered by a whiteout.

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/union"
)

// maxLayers is the limit of the kernel (OVL_MAX_STACK), less the mount points below all of them.
const maxLayers = 500 - 1

// overlay is a container's union: the lower directories, the top one first, and its own.
type overlay struct {
	lowers              []string
	upper, work, merged string
	volatile            bool // what is written need not survive a crash of the machine
}

// layers checks the directories of the root, and replaces them by their paths without links. The
// lowest is Rootfs, whichever flag named it.
func (c *Container) layers() error {
	if c.Rootfs == "" && len(c.Layer) > 0 {
		c.Rootfs, c.Layer = c.Layer[0], c.Layer[1:]
	}
	if c.Rootfs == "" {
		return nil
	}
	if len(c.Layer) >= maxLayers {
		return fmt.Errorf("%d layers are more than the %d that the kernel can stack here: box "+
			"commit merges some into one",
			len(c.Layer)+1, maxLayers)
	}
	if err := c.checkRoot(); err != nil {
		return err
	}
	var err error
	for i, dir := range c.Layer {
		if c.Layer[i], err = union.LayerDir(dir); err != nil {
			return fmt.Errorf("--layer %s: %w", dir, err)
		}
	}
	return union.CheckApart(c.topFirst())
}

// mount makes the process mount the union. The kernel takes all directories in one string. Without
// an upper directory the mount is read-only, and the kernel wants at least two lower directories.
func (o *overlay) mount(p *Plan) {
	p.Section("layers: several directories, seen as one")
	dirs := slices.Clone(o.lowers)
	if o.upper != "" {
		dirs = append(dirs, o.upper, o.work)
	}
	if !fits(dirs) {
		dirs = p.openLayers(dirs)
		p.Chdir("/proc/self/fd").Why("where every descriptor is a name")
	}
	lowers := dirs[:len(o.lowers)]
	options := "lowerdir=" + strings.Join(lowers, ":")
	if o.upper != "" {
		options += ",upperdir=" + dirs[len(lowers)] + ",workdir=" + dirs[len(lowers)+1]
	}
	if p.Clone.Flags&unix.CLONE_NEWUSER != 0 {
		options += ",userxattr" // user.* attributes instead of trusted.*, which need CAP_SYS_ADMIN
	} else {
		options += ",redirect_dir=off,metacopy=off" // changed files are whole in the upper one
	}
	if o.volatile {
		options += ",volatile" // what is written need not reach the disk
	}
	p.Mount("overlay", o.merged, "overlay", 0, options).
		Why("all layers as one, the container's own on top").Look("findmnt -N PID -t overlay").
		Hint(unix.EINVAL, union.WhyInvalid(o.upper)).
		Hint(unix.ELOOP, "the container's own layer would be inside one of the others: "+
			"put the store elsewhere with --root").
		Hint(unix.EPERM, "an ordinary user needs Linux 5.11 or newer for an overlay").
		Hint(unix.ENODEV, "the kernel has no overlay file system: modprobe overlay")
	p.Chdir(o.merged)
}

// fits reports whether paths can be in the string, which has at most 4095 bytes and in which a
// colon, a comma and a backslash are special.
func fits(dirs []string) bool {
	all := strings.Join(dirs, ":")
	return len(all) < 3900 && !strings.ContainsAny(strings.Join(dirs, ""), ":,\\")
}

// openLayers makes the process open the directories under numbers that are known before: short
// names, however long the paths are.
func (p *Plan) openLayers(dirs []string) []string {
	const first = 200 // above any descriptor that is open by then
	names := make([]string, len(dirs))
	for i, dir := range dirs {
		flags := plan.Bits(unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, plan.OpenFlags)
		fd := p.Add("openat", unix.SYS_OPENAT, plan.Cwd, dir, flags).Result()
		p.Dup3(fd, first+i, true)
		p.Close(fd)
		names[i] = strconv.Itoa(first + i)
	}
	return names
}

// union opens the container's root for reading, without mounting it.
func (o *overlay) union() (*union.FS, error) {
	return union.Open(append([]string{o.upper}, o.lowers...))
}

// openInside opens a file of the container as a process in it would.
func (r *Record) openInside(path string, flags int) (int, error) {
	if r.files == nil { // it stays open while the run is planned
		u, err := r.overlay().union()
		if r.Run.DryRun {
			u, err = union.Open(r.Run.topFirst())
		}
		if err != nil {
			return -1, err
		}
		r.files = u
	}
	n, err := r.files.Find(path, flags&unix.O_NOFOLLOW == 0)
	if err != nil {
		return -1, err
	}
	return n.Open(flags)
}

// topFirst returns the layers of a container, the top one first.
func (c *Container) topFirst() []string {
	list := append([]string{c.Rootfs}, c.Layer...)
	slices.Reverse(list)
	return list
}
