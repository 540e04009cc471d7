// The names that a container knows, its own and those of others: three files in /etc, hostname(5),
// hosts(5) and resolv.conf(5). They lie over those of the root, which is not written to.

package main

import (
	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage03-rootfs/rootdir"
)

// nameFiles are the files in /etc that tell a container its names and those of others.
var nameFiles = []string{"hostname", "hosts", "resolv.conf"}

// names shows the files that lie in the container's directory in the store (see writeNames).
func (r *newRoot) names(binds []bind) {
	for _, name := range nameFiles {
		target := r.nameTarget("/etc/"+name, binds)
		if target == "" {
			continue
		}
		mount := r.CopyMount(plan.Cwd, r.record.path(name)).
			Why("a file of its own, for /etc/" + name).Result()
		if r.ReadOnly {
			r.SetMount(mount, rdOnly).Why("--read-only")
		}
		r.queueMount(pendingMount{mount: mount, target: target})
	}
}

// nameTarget is where a file has to lie that is mounted on name: distributions ship an
// /etc/resolv.conf that is a link to nowhere, and -v may mount another /etc. It is empty if -v
// mounts a file of the caller's there.
func (c *Container) nameTarget(name string, binds []bind) string {
	if mountspec.Has(binds, name) {
		return ""
	}
	return rootdir.Target(name, mountspec.Open(binds, c.openInside))
}
