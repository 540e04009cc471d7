// Parts of config.json that are only checked, or passed on to one system call each. bundle.go and
// process.go have what makes the container.

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/capability"
	"stagebox/stage03-rootfs/rlimit"
	"stagebox/stage05-images/runtimespec"
)

// hasUserNamespace reports whether the container has a user namespace of its own or another's.
func (b *bundle) hasUserNamespace() bool {
	return runtimespec.HasNamespace(b.Spec, specs.UserNamespace)
}

// knownCaps is what the process may have: in a user namespace, new or joined, the kernel gives it
// all.
func (b *bundle) knownCaps() capability.Set {
	if b.hasUserNamespace() {
		return capability.Known(unix.CLONE_NEWUSER)
	}
	return capability.Known(0)
}

// mapIDs maps linux.uidMappings and linux.gidMappings. An ordinary user may map the user's own ids
// alone; newuidmap(1) and newgidmap(1) map the subordinate ones as well.
func (b *bundle) mapIDs(h *Plan, pid string) {
	uids, gids := b.Linux.UIDMappings, b.Linux.GIDMappings
	switch {
	case os.Geteuid() == 0:
		writeMaps(h, pid, runtimespec.IDMap(uids), runtimespec.IDMap(gids))
	case runtimespec.MapsOnly(uids, os.Geteuid()) && runtimespec.MapsOnly(gids, os.Getegid()):
		h.WriteFile("/proc/"+pid+"/setgroups", "deny").
			Why("needed before gid_map: a user must not drop a group that is denied access")
		writeMaps(h, pid, runtimespec.IDMap(uids), runtimespec.IDMap(gids))
	default:
		h.Command(append([]string{"newuidmap", pid}, strings.Fields(runtimespec.IDMap(uids))...)...)
		h.Command(append([]string{"newgidmap", pid}, strings.Fields(runtimespec.IDMap(gids))...)...)
	}
}

// unshares reports whether the new namespaces are made after others were joined: by the user
// namespace that is to own them, or before a new one that would have no right to join. The offset
// of a clock, too, is set before a process is in its namespace.
func (b *bundle) unshares() bool {
	joinsUser := len(b.joined) > 0 && b.joined[0].Flag == unix.CLONE_NEWUSER
	makesUser := len(b.joined) > 0 && b.fresh&unix.CLONE_NEWUSER != 0
	return joinsUser || makesUser || len(b.Linux.TimeOffsets) > 0
}

// bornWith are the namespaces that clone3 makes.
func (b *bundle) bornWith() uint64 {
	if b.unshares() {
		return 0
	}
	return b.fresh &^ unix.CLONE_NEWCGROUP
}

// guard seals box where a program of the container's could get hold of it, before there is
// anything that box would find when it is started once more. Hooks of startContainer are such
// programs, and run while the container's process is still box.
func (b *bundle) guard() error {
	if len(b.Hooks.StartContainer) > 0 {
		return seal()
	}
	r := &newRoot{Container: &Container{}, Plan: hostPlan()}
	r.Clone.Flags = b.bornWith()
	return r.guardSelf()
}

// isBare reports whether a directory of the root has nothing that a tmpfs could begin with.
func (b *bundle) isBare(dir string) bool {
	fd, err := b.openInside(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return true
	}
	file := os.NewFile(uintptr(fd), dir)
	defer file.Close()
	names, _ := file.Readdirnames(1)
	return len(names) == 0
}

// device makes one of linux.devices.
func (b *bundle) device(d specs.LinuxDevice) error {
	kind, err := runtimespec.DeviceKind(d.Type)
	if err != nil {
		return fmt.Errorf("type: %w", err)
	}
	mode, uid, gid := runtimespec.DeviceAttributes(d)
	d.Path = path.Clean("/" + d.Path)[1:]
	b.dirs(plan.Cwd, path.Dir(d.Path))
	b.Mknod(plan.Cwd, d.Path, kind|mode, uint32(d.Major), uint32(d.Minor)).Tolerate(unix.EEXIST)
	if uid > 0 || gid > 0 {
		b.Add("fchownat", unix.SYS_FCHOWNAT, plan.Cwd, d.Path, uid, gid, 0)
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
	if process.OOMScoreAdj != nil {
		b.WriteFile("/proc/self/oom_score_adj", fmt.Sprint(*process.OOMScoreAdj)).
			Tolerate(unix.EACCES).Why("who is killed first; CAP_SYS_RESOURCE alone makes it less")
	}
	if process.Scheduler != nil {
		attr, err := runtimespec.Scheduler(process.Scheduler)
		if err != nil {
			return err
		}
		b.Add("sched_setattr", unix.SYS_SCHED_SETATTR, 0, plan.Ptr(unsafe.Pointer(attr), "SCHEDULER"), 0)
	}
	if process.IOPriority != nil {
		value, err := runtimespec.IOPriority(process.IOPriority)
		if err != nil {
			return err
		}
		b.Add("ioprio_set", unix.SYS_IOPRIO_SET, plan.Sym(1, "IOPRIO_WHO_PROCESS"), 0, value)
	}
	if b.Linux.Personality != nil {
		domain, err := runtimespec.Personality(b.Linux.Personality)
		if err != nil {
			return err
		}
		b.Add("personality", unix.SYS_PERSONALITY, domain)
	}
	limits, err := runtimespec.Rlimits(process.Rlimits)
	for _, limit := range limits {
		b.limit(limit)
	}
	return err
}

// limit plans one of process.rlimits. A hard limit that box may not raise stays as it is.
func (b *bundle) limit(limit rlimit.Limit) {
	allowed, isLower, _ := limit.Allowed() // the kernel says what is wrong with it
	if isLower {
		b.warn(fmt.Sprintf("process.rlimits: only CAP_SYS_RESOURCE raises a hard limit: %s stays at %s",
			limit.Name, rlimit.Format(allowed.Max)))
	}
	b.Prlimit(allowed)
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
	uids, gids := m.UIDMappings, m.GIDMappings
	if len(uids) == 0 {
		uids, gids = b.Linux.UIDMappings, b.Linux.GIDMappings
	}
	if len(uids)*len(gids) == 0 {
		return -1, errors.New("uidMappings, gidMappings: an id-mapped mount needs both")
	}
	if b.isDry {
		return 0, nil
	}
	p := newPlan()
	p.DetachTerminal()
	p.Clone.Flags |= unix.CLONE_NEWUSER
	p.WhileHeld(func(h *Plan, pid string) {
		writeMaps(h, pid, runtimespec.IDMap(uids), runtimespec.IDMap(gids))
		open := h.Add("openat", unix.SYS_OPENAT, plan.Cwd, "/proc/"+pid+"/ns/user",
			plan.Sym(unix.O_RDONLY|unix.O_CLOEXEC, "O_RDONLY|O_CLOEXEC"))
		open.Then(func() { fd = int(open.Ret) })
	})
	p.Handshake()
	p.Add("exit_group", unix.SYS_EXIT_GROUP, 0)
	process, err := (&plan.Narration{}).Start(p.Plan)
	if err != nil {
		return -1, err
	}
	var ended plan.ExitStatus
	if err := process.Wait(); !errors.As(err, &ended) || ended != 0 {
		return -1, err
	}
	return fd, nil
}
