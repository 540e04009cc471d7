// A container's /dev: a small file system in memory with the few devices that every program may
// expect (null(4), random(4), pts(4), shm_overview(7)). guard.go forbids opening any other, no
// matter how its node was made.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage01-namespaces/rawfile"
	"stagebox/stage03-rootfs/devnode"
)

// devices fills /dev. A user namespace may make no device, so there the host's are shown.
func (r *newRoot) devices() error {
	r.Section("dev: a /dev of its own")
	nodes, err := devnode.Select(r.Device, r.Privileged)
	if err != nil {
		return err
	}
	if r.ShmSize > 0 && r.Clone.Flags&unix.CLONE_NEWIPC == 0 {
		return errors.New("--shm-size: the IPC namespace is shared, and its /dev/shm has a size")
	}
	r.dev = r.NewMount("tmpfs", noSuid|noExec, "mode=755", "size=65536k")
	r.queueMount(pendingMount{mount: r.dev, target: "/dev", isDir: true, exact: true})
	for _, d := range nodes {
		r.node(d)
	}
	for _, link := range devnode.Links() {
		r.Symlink(link.Target, r.dev, link.Name)
	}
	options := []string{"ptmxmode=0666", "mode=0620"}
	if r.maps(5) {
		options = append(options, "gid=5") // the group of terminals
	}
	r.inDev("pts", func() plan.Arg { return r.NewMount("devpts", noSuid|noExec, options...) })
	if r.IPC != "none" {
		r.inDev("shm", r.shm)
	}
	filesystems, err := rawfile.Read("/proc/filesystems")
	hasQueues := err == nil && strings.Contains(string(filesystems), "\tmqueue\n")
	if hasQueues && r.owns(unix.CLONE_NEWIPC) {
		r.inDev("mqueue", func() plan.Arg { return r.NewMount("mqueue", noSuid|noDev|noExec) })
	}
	return nil
}

// shm makes the memory that processes share by name (shm_overview(7)), or copies the host's, if its
// IPC is shared.
func (r *newRoot) shm() plan.Arg {
	if r.otherShm.IsSet() {
		return r.otherShm
	}
	if _, err := os.Stat("/dev/shm"); err == nil && r.Clone.Flags&unix.CLONE_NEWIPC == 0 {
		return r.CopyMountAlone(plan.Cwd, "/dev/shm").
			Why("the host's, as its IPC is shared").Result()
	}
	size := fmt.Sprintf("size=%dk", (cmp.Or(r.ShmSize, 64<<20)+1023)/1024)
	return r.NewMount("tmpfs", noSuid|noDev|noExec, "source=shm", "mode=1777", size)
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
func (r *newRoot) node(d devnode.Node) {
	name := strings.TrimPrefix(d.Target, "/dev/")
	r.dirs(r.dev, path.Dir(name))
	if r.Clone.Flags&unix.CLONE_NEWUSER == 0 {
		r.Mknod(r.dev, name, d.Kind|d.Mode, d.Major, d.Minor)
		return
	}
	r.Mknod(r.dev, name, unix.S_IFREG|0o644, 0, 0)
	mount := r.CopyMount(plan.Cwd, d.Source).Why("the host's, as a user may make none").Result()
	r.queueMount(pendingMount{mount: mount, target: d.Target, made: true})
}

// dirs makes the directories of a path that is relative to at.
func (r *newRoot) dirs(at plan.Arg, name string) {
	if name != "." {
		r.dirs(at, path.Dir(name))
		r.MkdirAt(at, name)
	}
}
