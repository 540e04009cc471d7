// box exec brings another command into the namespaces of a running process. setns(2) on a pidfd
// joins them all at once, the user namespace too, which a process with several threads may not do;
// the child that replays the list has only one thread. A PID namespace is entered by children only,
// so the list forks once more, with CLONE_PARENT, which makes the new process box's own child.

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/attach"
)

// Run is `box exec`.
func (e *Entry) Run() error {
	if apart, err := e.runApart(); apart {
		return err
	}
	x, err := e.resolve()
	if err != nil {
		return err
	}
	return e.enter(x)
}

// enter runs the command in the container.
func (e *Entry) enter(x *execProcess) error {
	pid := x.pid
	flags, err := foreign(pid)
	if err != nil {
		return err
	}
	if !e.DryRun {
		if err := seal(); err != nil {
			return err
		}
	}
	p := newPlan()
	if e.Monitor {
		e.monitor(p)
	}
	pidfd := p.before.PidfdOpen(pid).
		Why("a handle on the process; a number may be reused").Result()
	if err := joinGroup(pid, p); err != nil {
		return err
	}
	theirs, err := restrictionsOf(pid, flags, x.profile)
	if err != nil {
		return err
	}
	theirs.shield(p)
	if p.passInput, err = e.Input(attach.PrintLeft); err != nil {
		return err
	}
	if err := x.stdio(p); err != nil {
		return err
	}
	if flags&unix.CLONE_NEWUSER != 0 {
		p.LeaveGroups()
	}
	p.Setns(pidfd, flags).Why("into all its namespaces at once")
	if flags&unix.CLONE_NEWUSER != 0 {
		p.Setresid(0, 0) // takes a death signal back, so it comes before the handshake
	}
	p.Fork(unix.CLONE_PARENT).Why("only a child is inside the PID namespace")
	p.Handshake()
	x.host.input(x.Container, p)
	if err := x.prepare(p, theirs); err != nil {
		return err
	}
	p.Execve(e.Command.argv(), x.who.env, plan.PathIn(x.who.env))
	return p.live(&e.Narration)
}

// foreign returns the flags of the namespaces that pid does not share with us.
func foreign(pid int) (uint64, error) {
	var flags uint64
	for _, k := range kinds {
		ours, errOurs := os.Readlink("/proc/self/ns/" + k.name)
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, k.name))
		switch {
		case errOurs != nil: // a kernel without this kind
		case errors.Is(err, os.ErrNotExist):
			return 0, fmt.Errorf("no such process: %d; box lsns lists processes in other "+
				"namespaces", pid)
		case errors.Is(err, os.ErrPermission):
			return 0, fmt.Errorf("process %d belongs to another user: join it as that user, "+
				"or as root", pid)
		case err != nil:
			return 0, err
		case ours != theirs:
			flags |= k.flag
		}
	}
	if flags == 0 {
		return 0, fmt.Errorf("process %d is in no other namespace than ours, so there is "+
			"none to join: box lsns lists those that are", pid)
	}
	return flags, nil
}

// PidfdOpen is pidfd_open(2).
func (p *Plan) PidfdOpen(pid int) *plan.Call {
	return p.Add("pidfd_open", unix.SYS_PIDFD_OPEN, pid, 0)
}

// Setns is setns(2) on a pidfd.
func (p *Plan) Setns(pidfd plan.Arg, flags uint64) *plan.Call {
	return p.Add("setns", unix.SYS_SETNS, pidfd, plan.Bits(flags, plan.CloneFlags)).
		Hint(unix.EPERM, "the namespaces belong to another user: become that user, or root").
		Hint(unix.ESRCH, "the process has ended meanwhile")
}

// LeaveGroups is setgroups(2) with no group: root's groups would give access to files of the
// host. An ordinary user may not leave any group, and keeps them all inside.
func (p *Plan) LeaveGroups() {
	p.Add("setgroups", unix.SYS_SETGROUPS, 0, nil).Tolerate(unix.EPERM).
		Why("none of the caller's groups goes in, if it may leave them")
}

// Setresid is setresgid(2) and setresuid(2), for the real, effective and saved id alike.
func (p *Plan) Setresid(uid, gid int) {
	p.Add("setresgid", unix.SYS_SETRESGID, gid, gid, gid).
		Why("group 0 of the joined user namespace")
	p.Add("setresuid", unix.SYS_SETRESUID, uid, uid, uid).Why("and its user 0")
}
