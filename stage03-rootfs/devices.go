// A container's /dev: a small file system in memory with the few devices that every program may
// expect (null(4), random(4), pts(4), shm_overview(7)). guard.go forbids opening any other, no
// matter how its node was made.

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// device is a device node: where it is on the host, where inside, and what may be done.
type device struct {
	source, target string
	kind           uint32 // unix.S_IFCHR or unix.S_IFBLK
	major, minor   uint32
	mode           uint32
	access         string // of r, w and m
}

// defaultDevices are those of every container. /dev/tty is each process's own terminal.
var defaultDevices = []device{
	{"/dev/null", "/dev/null", unix.S_IFCHR, 1, 3, 0o666, "rwm"},
	{"/dev/zero", "/dev/zero", unix.S_IFCHR, 1, 5, 0o666, "rwm"},
	{"/dev/full", "/dev/full", unix.S_IFCHR, 1, 7, 0o666, "rwm"},
	{"/dev/random", "/dev/random", unix.S_IFCHR, 1, 8, 0o666, "rwm"},
	{"/dev/urandom", "/dev/urandom", unix.S_IFCHR, 1, 9, 0o666, "rwm"},
	{"/dev/tty", "/dev/tty", unix.S_IFCHR, 5, 0, 0o666, "rwm"},
}

// links lead to what the process itself has open, and to the terminals of this container.
var links = [][2]string{
	{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"}, {"core", "/proc/kcore"},
}

// devices fills /dev. A user namespace may make no device, so there the host's are shown.
func (r *newRoot) devices() error {
	r.Section("dev: a /dev of its own")
	nodes, err := r.nodes()
	if err != nil {
		return err
	}
	r.dev = r.NewMount("tmpfs", noSuid|noExec, "mode=755", "size=65536k")
	r.queueMount(pendingMount{mount: r.dev, target: "/dev", isDir: true, exact: true})
	for _, d := range nodes {
		r.node(d)
	}
	for _, link := range links {
		if _, err := os.Stat(link[1]); link[0] != "core" || err == nil {
			r.Symlink(link[1], r.dev, link[0])
		}
	}
	options := []string{"ptmxmode=0666", "mode=0620"}
	if r.maps(5) {
		options = append(options, "gid=5") // the group of terminals
	}
	r.inDev("pts", func() plan.Arg { return r.NewMount("devpts", noSuid|noExec, options...) })
	r.inDev("shm", func() plan.Arg {
		return r.NewMount("tmpfs", noSuid|noDev|noExec, "mode=1777", "size=65536k")
	})
	filesystems, err := os.ReadFile("/proc/filesystems")
	hasQueues := err == nil && strings.Contains(string(filesystems), "\tmqueue\n")
	if hasQueues && r.owns(unix.CLONE_NEWIPC) {
		r.inDev("mqueue", func() plan.Arg { return r.NewMount("mqueue", noSuid|noDev|noExec) })
	}
	return nil
}

// inDev queues a mount on a new directory of /dev.
func (r *newRoot) inDev(name string, mount func() plan.Arg) {
	r.MkdirAt(r.dev, name)
	r.queueMount(pendingMount{mount: mount(), target: "/dev/" + name, isDir: true, made: true})
}

// owns reports whether a namespace of this kind belongs to the container's user namespace, so
// that file systems which show it may be mounted.
func (r *newRoot) owns(kind uint64) bool {
	return r.Clone.Flags&unix.CLONE_NEWUSER == 0 || r.Clone.Flags&kind != 0
}

// node plans one device.
func (r *newRoot) node(d device) {
	name := strings.TrimPrefix(d.target, "/dev/")
	r.dirs(r.dev, path.Dir(name))
	if r.Clone.Flags&unix.CLONE_NEWUSER == 0 {
		r.Mknod(r.dev, name, d.kind|d.mode, d.major, d.minor)
		return
	}
	r.Mknod(r.dev, name, unix.S_IFREG|0o644, 0, 0)
	mount := r.CopyMount(plan.Cwd, d.source).Why("the host's, as a user may make none").Result()
	r.queueMount(pendingMount{mount: mount, target: d.target, made: true})
}

// dirs makes the directories of a path that is relative to at.
func (r *newRoot) dirs(at plan.Arg, name string) {
	if name != "." {
		r.dirs(at, path.Dir(name))
		r.MkdirAt(at, name)
	}
}

// nodes are the devices of this container.
func (r *newRoot) nodes() ([]device, error) {
	nodes := slices.Clone(defaultDevices)
	if r.Privileged {
		nodes = hostDevices()
	}
	for _, spec := range r.Device {
		d, err := parseDevice(spec)
		if err != nil {
			return nil, fmt.Errorf("--device %s: %w", spec, err)
		}
		nodes = slices.DeleteFunc(nodes, func(o device) bool { return o.target == d.target })
		nodes = append(nodes, d)
	}
	return nodes, nil
}

// deviceOf describes a node of the host's.
func deviceOf(path string, info fs.FileInfo) (device, bool) {
	var st unix.Stat_t
	if info.Mode()&fs.ModeDevice == 0 || unix.Stat(path, &st) != nil {
		return device{}, false
	}
	major, minor := unix.Major(st.Rdev), unix.Minor(st.Rdev)
	return device{path, path, st.Mode & unix.S_IFMT, major, minor, st.Mode & 0o777, "rwm"}, true
}

// hostDevices are all devices in the host's /dev; terminals stay what they are inside.
func hostDevices() []device {
	var list []device
	skip := []string{"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd"}
	walk := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || slices.Contains(skip, path) {
			return fs.SkipDir
		}
		if info, err := entry.Info(); err == nil && path != "/dev/ptmx" && path != "/dev/console" {
			if d, ok := deviceOf(path, info); ok {
				list = append(list, d)
			}
		}
		return nil
	}
	if err := filepath.WalkDir("/dev", walk); err != nil {
		return defaultDevices
	}
	return list
}
