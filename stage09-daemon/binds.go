// Mounts of the host's files, or in memory, inside a container. Package mountspec has the grammar
// of their flags, and cmd_binds.go checks them.

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage03-rootfs/rootdir"
)

// bind is a mount at a place inside: of a path of the host's, or new in memory.
type bind = mountspec.Spec

// bind makes the mount, while the host's files are in sight.
func (r *newRoot) bind(b bind) plan.Arg {
	if b.Type == "tmpfs" {
		return r.memory(b)
	}
	if b.Type == "image" {
		return r.image(b)
	}
	if b.IsMissing {
		r.makeSource(b.Source)
	}
	why := "from the host, for " + b.Target
	if len(b.NoEffect) > 0 {
		why += "; without effect here: " + strings.Join(b.NoEffect, ", ")
	}
	mount := r.copySource(b).Why(why).
		Hint(unix.EINVAL, "it holds mounts that may not be shown without those above them").Result()
	if b.Propagation == "slave" && r.placeOf(b) == r.before {
		r.before.SetSlave(mount).Why("what the host mounts there later is seen inside too")
	}
	switch {
	case b.ReadOnly && b.ReadOnlyTop:
		r.SetMountAlone(mount, rdOnly).Why("to be read only, without those below it")
	case b.ReadOnly:
		r.SetMount(mount, rdOnly).Why("to be read only")
	}
	return mount
}

// copySource copies the mount of what the bind shows.
func (r *newRoot) copySource(b bind) *plan.Call {
	if b.Subpath != "" { // a link in a volume leads to no place outside it
		volume := r.OpenPath(b.Source, unix.O_DIRECTORY, 0).Result()
		return r.CopyMount(r.OpenPathIn(volume, b.Subpath, 0, unix.RESOLVE_IN_ROOT).Result(), "")
	}
	if b.Alone {
		return r.placeOf(b).CopyMountAlone(plan.Cwd, b.Source)
	}
	return r.placeOf(b).CopyMount(plan.Cwd, b.Source)
}

// placeOf is the list in which a copy of the mount is made. By the time of the process's own list
// its mounts are private, so a copy that is to follow the host's is made by the host. An ordinary
// user may make none there: then it is private too.
func (r *newRoot) placeOf(b bind) *Plan {
	if b.Propagation != "" && r.Clone.Flags&unix.CLONE_NEWUSER == 0 {
		return r.before
	}
	return r.Plan
}

// makeSource makes the missing directories of a path of the host, as Docker does for -v.
func (r *newRoot) makeSource(dir string) {
	if _, err := os.Lstat(dir); err != nil {
		r.makeSource(filepath.Dir(dir))
		r.before.MkdirAt(plan.Cwd, dir).Why("the host has no such directory")
	}
}

// memory makes a file system in memory. Unless a mode is given, it has that of the directory that
// it covers, as in Docker.
func (r *newRoot) memory(b bind) plan.Arg {
	attrs, options := b.Attrs, b.Options
	if b.ReadOnly {
		attrs |= rdOnly
	}
	if !slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(o, "mode=") }) {
		options = append([]string{"mode=" + rootdir.Mode(b.Target, r.openInside)}, options...)
	}
	return r.NewMount("tmpfs", attrs, options...)
}
