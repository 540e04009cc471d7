// A container may have namespaces of another container that runs: with --pid container:NAME they
// see each other's processes, with --ipc container:NAME their shared memory. setns(2) enters them,
// as it does for exec. POSIX shared memory is files (shm_overview(7)), so the other's /dev/shm is
// copied from among its mounts.

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// join has the process enter the namespaces of other containers, and leaves them out of the flags
// of those that are new.
func (c *Container) join(p *Plan, flags *uint64) error {
	if err := c.checkOwnRoot(); err != nil {
		return err
	}
	if other, joins := strings.CutPrefix(c.IPC, "container:"); joins {
		pidfd, err := c.enter(p, "--ipc", other, unix.CLONE_NEWIPC)
		if err != nil {
			return err
		}
		*flags &^= unix.CLONE_NEWIPC
		c.takeShm(p, pidfd)
	}
	if other, joins := strings.CutPrefix(c.PID, "container:"); joins {
		if _, err := c.enter(p, "--pid", other, unix.CLONE_NEWPID); err != nil {
			return err
		}
		*flags &^= unix.CLONE_NEWPID
		p.Fork(unix.CLONE_PARENT).Why("only a child is inside the PID namespace")
	}
	return nil
}

// enter has the process enter a namespace of another container.
func (c *Container) enter(p *Plan, flag, other string, kind uint64) (plan.Arg, error) {
	r, err := c.Store.running(other)
	switch {
	case err != nil:
	case os.Geteuid() != 0:
		err = errors.New("its namespaces belong to its user namespace; only root may join them")
	case slices.Contains(c.Unshare, "user"):
		err = errors.New("a new user namespace (--unshare user) has no rights to it")
	case kind == unix.CLONE_NEWIPC && r.Run.hasPrivateIPC():
		err = errors.New("its IPC is private: start that container with --ipc shareable")
	}
	if r != nil {
		other = r.Name
	}
	if err != nil {
		c.keep() // the other may run at the next start
		return plan.Arg{}, fmt.Errorf("%s container:%s: %w", flag, other, err)
	}
	pidfd := p.before.openRecord(r).Why("whose namespace it shares: container " + r.Name).Result()
	p.Setns(pidfd, kind).Why("the other container's instead of a new one")
	return pidfd, nil
}

// takeShm copies /dev/shm of another container, which no path leads to from here: the process looks
// it up among the other's mounts. It follows no link: the other is not trusted.
func (c *Container) takeShm(p *Plan, pidfd plan.Arg) {
	own := p.Add("openat", unix.SYS_OPENAT, plan.Cwd, "/proc/self/ns/mnt",
		plan.Sym(unix.O_RDONLY|unix.O_CLOEXEC, "O_RDONLY|O_CLOEXEC")).
		Why("to find the way back").Result()
	p.Setns(pidfd, unix.CLONE_NEWNS).Why("among the other's mounts, for a moment")
	shm := p.OpenPath("/dev/shm", unix.O_DIRECTORY, unix.RESOLVE_NO_SYMLINKS).Result()
	c.otherShm = p.CopyMountAlone(shm, "").Why("its shared memory").Result()
	p.Setns(own, unix.CLONE_NEWNS).Why("and back")
}

// openRecord opens the first process of a container that runs. Its number may be another
// process's by now, so the container has to run still when it is open.
func (p *Plan) openRecord(r *Record) *plan.Call {
	call := p.PidfdOpen(r.State.PID)
	return call.Then(func() {
		if !r.isRunning() {
			call.Reject(r.notRunning())
		}
	})
}

// running finds another container, which has to run.
func (s Store) running(name string) (r *Record, err error) {
	if r, err = s.findStarted(name); err == nil && !r.isRunning() {
		err = r.notRunning()
	}
	return r, err
}

// keep has a container outlive a start that fails now and may succeed later.
func (c *Container) keep() {
	if c.record != nil {
		c.record.Kept = true
	}
}
