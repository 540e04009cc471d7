// box exec runs a command as a guest in a container: by default as the container's own user, in
// its directory, with its variables; and with -t on a terminal of the container's.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"stagebox/stage03-rootfs/envfile"
	"stagebox/stage03-rootfs/seccomp"
	"stagebox/stage04-unionfs/attach"
	"stagebox/stage04-unionfs/fault"
)

// target is a container of the store, or a process by its number.
type target string

// find returns the number of the first process, and the record of a container of the store. A
// number that an id begins with is a container. The record comes with the error errEnded too.
func (t target) find(s Store) (pid int, r *Record, err error) {
	n, notNumber := strconv.Atoi(string(t))
	if _, err := os.Stat(s.path("containers")); err != nil && notNumber == nil {
		return n, nil, nil // without making a store
	}
	if r, err = s.findStarted(string(t)); notNumber == nil && errors.Is(err, errNoContainer) {
		return n, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	if !r.isRunning() {
		return 0, r, r.notRunning()
	}
	return r.State.PID, r, nil
}

// setFrozen stops a container or lets it go on. It returns the record of one of the store.
func (t target) setFrozen(s Store, frozen bool) (*Record, error) {
	pid, r, err := t.find(s)
	if err != nil {
		return nil, err
	}
	if r != nil && r.isPaused() == frozen {
		if frozen {
			return nil, fault.Conflict.Errorf("container %s is paused already", r.Name)
		}
		return nil, fmt.Errorf("container %s is not paused", r.Name)
	}
	return r, setFrozen(pid, frozen)
}

// execProcess describes the command as a container of its own: its terminal, its user and its
// directory.
type execProcess struct {
	*Container
	pid     int
	who     *identity
	profile string  // of the container's seccomp filter
	host    *Record // the container, if it is one of the store
}

// runApart has another process run the command, if this one ends before it. The errors of the other
// go where those of this one went.
func (e *Entry) runApart() (apart bool, err error) {
	switch {
	case e.Monitor:
		os.Stderr = os.NewFile(3, "stderr")
	case e.DryRun:
	case e.Detach:
		return true, e.detach()
	case e.CanDetach(e.TTY, e.Interactive):
		return true, attach.RunDetachable(os.Args[1:])
	}
	return false, nil
}

// resolve finds the process to join, and describes the command. From the record of a container it
// takes what no flag gives: user, directory, environment, seccomp profile.
func (e *Entry) resolve() (*execProcess, error) {
	pid, r, err := e.PID.find(e.Store)
	if err == nil && r != nil {
		err = r.rejectPaused()
	}
	if err != nil {
		return nil, err
	}
	c := &Container{Command: e.Command, Terminal: e.Terminal,
		Security: Security{Privileged: e.Privileged},
		ProcessOptions: ProcessOptions{User: e.User,
			Workdir: e.Workdir, Env: e.Env, EnvFile: e.EnvFile}}
	if err := c.readEnvFiles(); err != nil {
		return nil, err
	}
	c.Hostname, c.Rootfs = "box", fmt.Sprintf("/proc/%d/root", pid)
	x := &execProcess{Container: c, pid: pid, who: &identity{home: "/root"}}
	if r != nil {
		if err := x.inherit(r); err != nil {
			return nil, err
		}
	}
	if x.who.given = r != nil || e.User != ""; x.who.given {
		if err := x.who.lookUp(c); err != nil {
			return nil, err
		}
	}
	if r == nil && !e.TTY {
		x.who.env = envfile.Set(environment("box"), c.Env)
		return x, nil
	}
	x.who.env, err = c.environment(x.who.home)
	return x, err
}

// inherit takes over from the container's record what no flag gives.
func (x *execProcess) inherit(r *Record) error {
	s, err := seccomp.ParseOptions(r.Run.SecurityOpt)
	if err != nil {
		return err
	}
	x.profile, x.host, x.Ulimit = s.Profile, r, r.Run.Ulimit
	x.Hostname, x.GroupAdd = r.Run.Hostname, r.Run.GroupAdd
	x.Env = append(slices.Clone(r.Run.Env), x.Env...)
	x.User, x.Workdir = cmp.Or(x.User, r.Run.User), cmp.Or(x.Workdir, r.Run.Workdir)
	return nil
}

// stdio gives the command a terminal with --tty, and else leaves it the caller's files.
func (x *execProcess) stdio(p *Plan) error {
	if !x.TTY {
		return nil
	}
	return stdio(x.Container, p)
}

// prepare gives the command its terminal and directory, the restrictions of the others, and its
// user.
func (x *execProcess) prepare(p *Plan, theirs *joined) error {
	if x.TTY {
		p.openPair(x.who.uid)
		x.session(p)
	}
	if err := x.workdir(p); err != nil {
		return err
	}
	if err := x.rlimits(p); err != nil {
		return err
	}
	if x.Privileged {
		theirs.caps = theirs.known
	}
	theirs.confine(p)
	if x.who.given {
		x.who.become(p)
	}
	if x.who.uid != 0 {
		theirs.caps = 0
	}
	theirs.keepCaps(p)
	return nil
}
