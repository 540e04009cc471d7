// The names that a container knows, its own and those of others: three files in /etc, hostname(5),
// hosts(5) and resolv.conf(5). They lie over those of the root, which is not written to.

package main

import (
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/etc"
	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage03-rootfs/rootdir"
)

// nameFiles are the files in /etc that tell a container its names and those of others.
var nameFiles = []string{"hostname", "hosts", "resolv.conf"}

// names makes a place for each of the files. They are made later: see fillNames.
func (r *newRoot) names(binds []bind) {
	for _, name := range nameFiles {
		target := r.nameTarget("/etc/"+name, binds)
		if target == "" {
			continue
		}
		r.queueMount(pendingMount{target: target})
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

// fillNames makes the files and lays them over their places.
func (r *newRoot) fillNames(binds []bind) {
	hosts := etc.Hosts(etc.HostNames(etc.FullName(r.Hostname, r.Domainname)), "127.0.1.1")
	for i, content := range []string{r.Hostname + "\n", hosts, etc.ResolvConf()} {
		if target := r.nameTarget("/etc/"+nameFiles[i], binds); target != "" {
			r.fill(target, content)
		}
	}
}

// fill makes a file in the memory of /dev and lays it over another. Its name is then taken
// away: a mount needs a name at the start only.
func (r *newRoot) fill(target, content string) {
	const name = ".new"
	at := r.place(pendingMount{target: target})
	file := r.Add("openat", unix.SYS_OPENAT, r.dev, name,
		plan.Sym(unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, "O_WRONLY|O_CREAT|O_CLOEXEC"),
		plan.Sym(0o644, "0644")).Result()
	if content != "" {
		r.Write(file, content)
	}
	mount := r.CopyMount(r.dev, name).Result()
	if r.ReadOnly {
		r.SetMount(mount, rdOnly).Why("--read-only")
	}
	r.Attach(mount, at, "")
	r.Add("unlinkat", unix.SYS_UNLINKAT, r.dev, name, 0)
	r.Close(file)
}
