// The device cgroup lets a container open only the devices that are allowed, no matter who
// made their nodes: in version 1 by files of the devices controller, in version 2 by a program that
// the kernel runs whenever a device is opened or made (bpf(2)). Package devcgroup has both forms.

package main

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/devcgroup"
	"stagebox/stage03-rootfs/devnode"
)

// allowed are the rules of the device cgroup: any node may be made, few may be opened.
func allowed(nodes []devnode.Node) []devcgroup.Rule {
	const any = devcgroup.Any
	rules := []devcgroup.Rule{
		{Kind: unix.S_IFCHR, Major: any, Minor: any, Access: "m"},
		{Kind: unix.S_IFBLK, Major: any, Minor: any, Access: "m"},
	}
	for _, d := range nodes {
		rules = append(rules, devcgroup.Rule{Kind: d.Kind, Major: d.Major, Minor: d.Minor,
			Access: d.Access})
	}
	return append(rules, // terminals
		devcgroup.Rule{Kind: unix.S_IFCHR, Major: 5, Minor: 2, Access: "rwm"},
		devcgroup.Rule{Kind: unix.S_IFCHR, Major: 136, Minor: any, Access: "rwm"})
}

// guard forbids all other devices, in the container's group. An ordinary user needs no
// guard: in a user namespace no device can be made, and the host's are the host's to open.
func (r *newRoot) guard(g *group) error {
	r.Section("guard: the devices that it may open")
	nodes, err := devnode.Select(r.Device, r.Privileged)
	more, errRules := devcgroup.Parse(r.DeviceCgroupRule)
	inUserNamespace := r.Clone.Flags&unix.CLONE_NEWUSER != 0
	switch err = cmp.Or(err, errRules); {
	case err == nil && inUserNamespace && len(more) > 0:
		return errors.New("--device-cgroup-rule: no device can be made in a user namespace")
	case err != nil || r.Privileged || inUserNamespace:
		return err
	}
	return r.allowOnly(g, append(allowed(nodes), more...))
}

// allowOnly forbids all devices but those of the rules, by the first tree that can.
func (r *newRoot) allowOnly(g *group, rules []devcgroup.Rule) error {
	for _, parent := range g.parents {
		if slices.Contains(parent.Controllers, "devices") {
			r.guard1(filepath.Join(parent.dir, g.name), rules)
			return nil
		}
	}
	for _, parent := range g.parents {
		if parent.V2 {
			r.guard2(filepath.Join(parent.dir, g.name), rules)
			return nil
		}
	}
	return errors.New("there is no cgroup to keep the container from the host's devices with: " +
		"mount version 2 at /sys/fs/cgroup, or allow all devices with --privileged")
}

// guard1 writes the rules of version 1.
func (r *newRoot) guard1(dir string, rules []devcgroup.Rule) {
	r.before.WriteFile(dir+"/devices.deny", "a").Why("no device at all …")
	fd := r.before.Add("openat", unix.SYS_OPENAT, plan.Cwd, dir+"/devices.allow",
		plan.Sym(unix.O_WRONLY|unix.O_CLOEXEC, "O_WRONLY|O_CLOEXEC")).Result()
	for _, rule := range rules {
		r.before.Write(fd, rule.String()).Why("… but this")
	}
	r.before.Close(fd)
}

// guard2 attaches a program to the group of version 2.
func (r *newRoot) guard2(dir string, rules []devcgroup.Rule) {
	load, attach := devcgroup.Load(devcgroup.Compile(rules)), devcgroup.Attach()
	group := r.before.OpenDir(dir)
	group.Then(func() { attach.Group = uint32(group.Ret) })
	group.Result()
	program := r.before.Add("bpf", unix.SYS_BPF, plan.Sym(unix.BPF_PROG_LOAD, "BPF_PROG_LOAD"),
		plan.Ptr(unsafe.Pointer(load), load.String()), int(unsafe.Sizeof(*load))).Retry().
		Why("a program of the kernel's, run whenever a device is opened")
	program.Then(func() { attach.Program = uint32(program.Ret) })
	program.Result()
	r.before.Add("bpf", unix.SYS_BPF, plan.Sym(unix.BPF_PROG_ATTACH, "BPF_PROG_ATTACH"),
		plan.Ptr(unsafe.Pointer(attach), attach.String()), int(unsafe.Sizeof(*attach))).
		Why("no device but those that it allows")
	r.before.Close(program.Result())
	r.before.Close(group.Result())
}
