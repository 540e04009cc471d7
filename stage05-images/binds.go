// Mounts of the host's files, or in memory, inside a container. cmd_binds.go has the grammar of
// their flags.
package main

import (
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// bind is a mount at a place inside: of a path of the host's, or new in memory.
type bind struct {
	source   string // "" for a tmpfs
	target   string
	readOnly bool
	isDir    bool
	options  []string // of the tmpfs
	attrs    uint64
	isVolume bool // source is a volume's name
}

// bind makes the mount, while the host's files are in sight.
func (r *newRoot) bind(b bind) plan.Arg {
	if b.source == "" {
		attrs := b.attrs
		if b.readOnly {
			attrs |= rdOnly
		}
		return r.NewMount("tmpfs", attrs, b.options...)
	}
	mount := r.CopyMount(plan.Cwd, b.source).Why("from the host, for "+b.target).
		Hint(unix.EINVAL, "it holds mounts that may not be shown without those above them").Result()
	if b.readOnly {
		r.SetMount(mount, rdOnly).Why("to be read only")
	}
	return mount
}
