// The process of an OCI bundle, and those that exec brings into its container: in which order a
// process gives up what the program must not have. The order is that of hardening.go.

package main

import (
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/capability"
	"stagebox/stage05-images/runtimespec"
)

// restrict plans all that comes between a place in the container's namespaces and the program,
// whose file it returns.
func (b *bundle) restrict(process *specs.Process) (file plan.Arg, err error) {
	p := b.Plan
	p.Section("security: what it may still do")
	at := p.OpenPath(process.Cwd, unix.O_DIRECTORY, 0).Result()
	p.Add("fchdir", unix.SYS_FCHDIR, at).Why("process.cwd")
	if err := b.priorities(process); err != nil {
		return file, err
	}
	b.session(p)
	p.CloseFrom(3 + b.keep)
	filter, err := b.filter()
	if err != nil {
		return file, err
	}
	known := runtimespec.KnownCaps(b.Spec)
	caps := runtimespec.ParseCapabilities(process.Capabilities, known, b.warn)
	p.limitCaps(known &^ caps.Bounding)
	if !process.NoNewPrivileges {
		filter()
	}
	p.switchUser(process.User, caps)
	if file = p.Str(process.Args[0]); strings.Contains(process.Args[0], "/") {
		p.Add("faccessat", unix.SYS_FACCESSAT, plan.Cwd, process.Args[0],
			plan.Sym(unix.X_OK, "X_OK")).Why("is it there?")
	} else {
		file = p.Search(process.Args[0], plan.PathIn(process.Env))
	}
	if process.NoNewPrivileges {
		p.NoNewPrivs()
		filter()
	}
	p.Prctl(plan.Sym(unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"), plan.Num(0)).
		Why("from here on it may outlive the parent")
	return file, nil
}

// switchUser becomes process.user with the five sets of capabilities. The kernel takes them all
// from a process that is no longer user 0, unless it keeps the permitted ones (PR_SET_KEEPCAPS).
func (p *Plan) switchUser(user specs.User, caps runtimespec.Capabilities) {
	p.Prctl(plan.Sym(unix.PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS"), plan.Num(1)).
		Why("keep what is permitted, for any user")
	id := &identity{uid: int(user.UID), gid: int(user.GID), isMember: len(user.AdditionalGids) > 0}
	for _, gid := range user.AdditionalGids {
		id.groups = append(id.groups, int(gid))
	}
	id.become(p)
	umask := 0o022
	if user.Umask != nil {
		umask = int(*user.Umask)
	}
	p.Umask(umask)
	p.CapsetOf(caps.Effective, caps.Permitted, caps.Inheritable)
	for _, i := range (caps.Ambient & caps.Permitted & caps.Inheritable).Numbers() {
		p.Add("prctl", unix.SYS_PRCTL, plan.Sym(unix.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"),
			plan.Sym(unix.PR_CAP_AMBIENT_RAISE, "PR_CAP_AMBIENT_RAISE"),
			plan.Sym(uintptr(i), capability.Name(i)), 0, 0).
			Why("a program that is not root's gets it too")
	}
}

// join plans a process that exec brings into the namespaces and the cgroup of another.
func (b *bundle) join(pid int, process *specs.Process) (*Plan, error) {
	p := newPlan()
	p.DetachTerminal()
	b.newRoot = &newRoot{Container: &Container{Files: Files{Rootfs: "/"}}, Plan: p}
	if b.TTY = process.Terminal; b.TTY {
		p.console = &console{opened: func(*os.File) {}}
	}
	flags, err := foreign(pid)
	if err != nil {
		return nil, err
	}
	pidfd := p.before.PidfdOpen(pid).Result()
	if err := joinGroup(pid, p); err != nil {
		return nil, err
	}
	p.Prctl(plan.Sym(unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), plan.Sym(0, "SUID_DUMP_DISABLE")).
		Why("no process inside may look into this one or change it")
	p.Setns(pidfd, flags).Why("into all its namespaces at once")
	p.Fork(unix.CLONE_PARENT).Why("only a child is inside the PID namespace")
	p.Handshake()
	if flags&unix.CLONE_NEWUSER != 0 {
		p.Setresid(0, 0)
	}
	if b.TTY {
		p.openPair(int(process.User.UID))
	}
	if b.input != nil {
		p.Dup3(plan.Num(int(b.input.Fd())), 0, false)
	}
	file, err := b.restrict(process)
	p.Become(file, process.Args, process.Env)
	return p, err
}
