// A union file system shows several directories as one (overlayfs in the kernel's
// Documentation/filesystems). The lower ones are only read, and many containers can share
// them. What a container changes is in its upper directory alone: a file that it writes to
// is copied up first, and one that it deletes is covered by a whiteout.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/files"
)

// maxLayers is how many the kernel takes (OVL_MAX_STACK).
const maxLayers = 500

// overlay is a container's union: the lower directories, the top one first, and its own.
type overlay struct {
	lowers              []string
	upper, work, merged string
	volatile            bool // what is written need not survive the machine
}

// layers checks the directories that the root shall be made of, and replaces them by their
// paths without links. The lowest is the root's, whichever flag named it.
func (c *Container) layers() error {
	if c.Rootfs == "" && len(c.Layer) > 0 {
		c.Rootfs, c.Layer = c.Layer[0], c.Layer[1:]
	}
	if c.Rootfs == "" {
		return nil
	}
	if len(c.Layer) >= maxLayers {
		return fmt.Errorf("%d layers are more than the %d that the kernel can lay over one another: box commit makes one of some", len(c.Layer)+1, maxLayers)
	}
	var err error
	if c.Rootfs, err = rootDir(c.Rootfs); err != nil {
		return err
	}
	for i, dir := range c.Layer {
		if c.Layer[i], err = layerDir(dir); err != nil {
			return fmt.Errorf("--layer %s: %w", dir, err)
		}
	}
	return checkApart(c.topFirst())
}

// layerDir checks one directory, and returns its path without links.
func layerDir(dir string) (string, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return "", errors.New("there is no such directory")
	case errors.Is(err, unix.ENOTDIR):
		return "", errors.New("it is a file, and a layer is a directory; tar -x unpacks an archive into one")
	case err != nil:
		return "", err
	}
	defer unix.Close(fd)
	return os.Readlink(files.FDPath(fd))
}

// apart refuses a layer that is another one or inside it: what the kernel would make of
// that is not defined.
func checkApart(paths []string) error {
	for i := range paths {
		paths[i] += "/"
	}
	slices.Sort(paths) // what is inside comes right after
	for i, path := range paths[1:] {
		if strings.HasPrefix(path, paths[i]) {
			return fmt.Errorf("the layer %s is the same as the layer %s, or inside it: give each directory once", path, paths[i])
		}
	}
	return nil
}

// mount has the process mount the union. The kernel takes all directories in one string.
func (o *overlay) mount(p *Plan) {
	dirs := append(slices.Clone(o.lowers), o.upper, o.work)
	if !fits(dirs) {
		dirs = p.openLayers(dirs)
		p.Chdir("/proc/self/fd").Why("where every descriptor is a name")
	}
	lowers := dirs[:len(o.lowers)]
	options := "lowerdir=" + strings.Join(lowers, ":") + ",upperdir=" + dirs[len(lowers)] + ",workdir=" + dirs[len(lowers)+1]
	if p.Clone.Flags&unix.CLONE_NEWUSER != 0 {
		options += ",userxattr" // overlay's marks are in attributes that a user may set
	} else {
		options += ",redirect_dir=off,metacopy=off" // what has changed is whole in the upper directory
	}
	if o.volatile {
		options += ",volatile" // what is written need not reach the disk
	}
	p.Mount("overlay", o.merged, "overlay", 0, options).Why("all layers as one, the container's own on top").Look("findmnt -N PID -t overlay").
		Hint(unix.EINVAL, o.einvalHint()).Hint(unix.ELOOP, "the container's own layer would be inside one of the others: put the store elsewhere with --root").
		Hint(unix.EPERM, "an ordinary user needs Linux 5.11 or newer for an overlay").
		Hint(unix.ENODEV, "the kernel has no overlay file system: modprobe overlay")
	p.Chdir(o.merged)
}

// fits tells whether paths can be in the string, which has 4095 bytes at the most, and in
// which a colon, a comma and a backslash mean something.
func fits(dirs []string) bool {
	all := strings.Join(dirs, ":")
	return len(all) < 3900 && !strings.ContainsAny(strings.Join(dirs, ""), ":,\\")
}

// openLayers has the process open the directories under numbers that are known before:
// short names, however long the paths are.
func (p *Plan) openLayers(dirs []string) []string {
	const first = 200
	names := make([]string, len(dirs))
	for i, dir := range dirs {
		fd := p.Add("openat", unix.SYS_OPENAT, plan.Cwd, dir, plan.Bits(unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, openFlags)).Result()
		p.Dup3(fd, first+i, true)
		p.Close(fd)
		names[i] = strconv.Itoa(first + i)
	}
	return names
}

// refused names the file system that an overlay cannot lie on, where that is the cause.
func (o *overlay) einvalHint() string {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(filepath.Dir(o.upper)), &fs); err == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return o.upper + " is on an overlay itself, perhaps inside a container, and that cannot carry the writable layer of another:\n" +
			"     put the store elsewhere: --root on a volume or a tmpfs"
	}
	return "one of these directories is on a file system that an overlay cannot lie on; the kernel's log (dmesg) says which"
}

// asRoot makes the container's own layer look like the lower root, because the root's
// owner and mode are those of the top layer.
func (o *overlay) copyRootMode() error {
	var st unix.Stat_t
	if err := unix.Stat(o.lowers[0], &st); err != nil {
		return fmt.Errorf("stat(%q): %w", o.lowers[0], err)
	}
	if err := unix.Chmod(o.upper, st.Mode&0o7777); err != nil {
		return fmt.Errorf("chmod(%q): %w", o.upper, err)
	}
	if os.Geteuid() != 0 {
		return nil
	}
	if err := unix.Chown(o.upper, int(st.Uid), int(st.Gid)); err != nil {
		return fmt.Errorf("chown(%q): %w", o.upper, err)
	}
	return nil
}

// union is the container's root as one may read it, without what it has changed itself.
func (o *overlay) union() (*union, error) { return openUnion(append([]string{o.upper}, o.lowers...)) }

// openInside opens a file of the container's as somebody inside would.
func (r *Record) openInside(path string, flags int) (int, error) {
	if r.files == nil { // open as long as the container is planned
		u, err := r.overlay().union()
		if r.Run.DryRun {
			u, err = openUnion(r.Run.topFirst())
		}
		if err != nil {
			return -1, err
		}
		r.files = u
	}
	n, err := r.files.find(path, flags&unix.O_NOFOLLOW == 0)
	if err != nil {
		return -1, err
	}
	return n.openFile(flags)
}

// topFirst are the layers of a container, the top one first.
func (c *Container) topFirst() []string {
	list := append([]string{c.Rootfs}, c.Layer...)
	slices.Reverse(list)
	return list
}
