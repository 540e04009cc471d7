// Parts of config.json that are only checked, or passed on to one system call each. bundle.go and
// process.go have what makes the container.

package main

import (
	"fmt"
	"path"
	"strings"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage05-images/runtimespec"
	"stagebox/stage05-images/runtimestate"
)

// hasUserNamespace reports whether the container has a user namespace of its own or another's.
func (b *bundle) hasUserNamespace() bool {
	return runtimespec.HasNamespace(b.Spec, specs.UserNamespace)
}

// mapIDs maps linux.uidMappings and linux.gidMappings.
func (b *bundle) mapIDs(h *Plan, pid string) {
	m := runtimespec.MapIDs(b.Linux)
	if m.ByPrograms {
		h.Command(append([]string{"newuidmap", pid}, strings.Fields(m.UIDs)...)...)
		h.Command(append([]string{"newgidmap", pid}, strings.Fields(m.GIDs)...)...)
		return
	}
	if m.DenyGroups {
		h.WriteFile("/proc/"+pid+"/setgroups", "deny").
			Why("needed before gid_map: a user must not drop a group that is denied access")
	}
	writeMaps(h, pid, m.UIDs, m.GIDs)
}

// guard seals box where a program of the container's could get hold of it, before there is
// anything that box would find when it is started once more. Hooks of startContainer are such
// programs, and run while the container's process is still box.
func (b *bundle) guard() error {
	if len(b.Hooks.StartContainer) > 0 {
		return seal()
	}
	r := &newRoot{Container: &Container{}, Plan: hostPlan()}
	r.Clone.Flags = b.ns.BornWith()
	return r.guardSelf()
}

// device makes one of linux.devices.
func (b *bundle) device(d specs.LinuxDevice) error {
	node, uid, gid, err := runtimespec.Device(b.Spec, d)
	if err != nil {
		return err
	}
	b.dirs(plan.Cwd, path.Dir(node.Target))
	b.Mknod(plan.Cwd, node.Target, node.Kind|node.Mode, node.Major, node.Minor).Tolerate(unix.EEXIST)
	if uid > 0 || gid > 0 {
		b.Add("fchownat", unix.SYS_FCHOWNAT, plan.Cwd, node.Target, uid, gid, 0)
	}
	return nil
}

// hookAt has the host run the hooks of a kind.
func (b *bundle) hookAt(h *Plan, kind, pid string) {
	for _, hook := range runtimespec.Hooks(b.Hooks, kind) {
		h.Command(append([]string{hook.Path}, hook.Args...)...).
			RunBy(func() error { return b.hook(kind, hook, pid) }).Why("a hook: " + kind)
	}
}

// Sync has the process wait while the host does what do adds, as WhileHeld at the handshake.
func (p *Plan) Sync(do func(h *Plan, pid string)) {
	p.Plan.Sync(func(h *plan.Plan, pid string) { do(&Plan{Plan: h}, pid) })
}

// filter compiles linux.seccomp.
func (b *bundle) filter() (install func(), err error) {
	code, flags, err := runtimespec.Seccomp(b.Linux.Seccomp)
	if code == nil {
		return func() {}, err
	}
	return func() { b.SeccompWith(code, flags) }, err
}

// priorities are what the program inherits: limits, and how it is treated by the kernel.
func (b *bundle) priorities(process *specs.Process) error {
	o, err := runtimespec.ParsePriorities(b.Linux, process, b.warn)
	if o.OOMScoreAdj != nil {
		b.WriteFile("/proc/self/oom_score_adj", fmt.Sprint(*o.OOMScoreAdj)).
			Tolerate(unix.EACCES).Why("who is killed first; CAP_SYS_RESOURCE alone makes it less")
	}
	if attr := o.Scheduler; attr != nil {
		b.Add("sched_setattr", unix.SYS_SCHED_SETATTR, 0, plan.Ptr(unsafe.Pointer(attr), "SCHEDULER"), 0)
	}
	if o.IOPriority != nil {
		b.Add("ioprio_set", unix.SYS_IOPRIO_SET, plan.Sym(1, "IOPRIO_WHO_PROCESS"), 0, *o.IOPriority)
	}
	if o.Personality != nil {
		b.Add("personality", unix.SYS_PERSONALITY, *o.Personality)
	}
	for _, limit := range o.Limits {
		b.Prlimit(limit)
	}
	return err
}

// reportExecve has a process that waited for start say itself why it is not a program: box, which
// would, is not there any more.
func (b *bundle) reportExecve() {
	if b.fifo == 0 {
		return
	}
	b.Calls[len(b.Calls)-1].Tolerate(plan.AnyError)
	b.Write(plan.Num(2), "box: execve "+b.Process.Args[0]+": not a program for this machine, "+
		"or its interpreter is missing\n")
}

// idNamespace makes a user namespace for the ids of a mount, and of nothing else: its process ends
// when the namespace is open.
func (b *bundle) idNamespace(m specs.Mount) (fd int, err error) {
	uids, gids, err := runtimespec.MapIDsOf(m, b.Linux)
	if err != nil || b.isDry {
		return 0, err
	}
	p := newPlan()
	p.DetachTerminal()
	p.Clone.Flags |= unix.CLONE_NEWUSER
	p.WhileHeld(func(h *Plan, pid string) {
		writeMaps(h, pid, uids, gids)
		open := h.Add("openat", unix.SYS_OPENAT, plan.Cwd, "/proc/"+pid+"/ns/user",
			plan.Sym(unix.O_RDONLY|unix.O_CLOEXEC, "O_RDONLY|O_CLOEXEC"))
		open.Then(func() { fd = int(open.Ret) })
	})
	p.Handshake()
	p.Add("exit_group", unix.SYS_EXIT_GROUP, 0)
	err = runtimestate.RunPlan(p.Plan, nil)
	return fd, err
}
