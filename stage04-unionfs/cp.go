// The files of a container, as box cp reads and writes them from outside. Of one that runs, the
// root is /proc/PID/root, which leads to its files with all its mounts. Of one that does not run,
// the layers and volumes are mounted as for a run, in a mount namespace that only one thread of box
// has, so that no other process sees them (mount_namespaces(7)).
package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/thread"
	"stagebox/stage04-unionfs/union"
)

// view opens the root of a container until done is called. Meanwhile it does not start, if it does
// not run.
func (s Store) view(name string) (root int, done func() error, err error) {
	r, err := s.find(name)
	if err != nil {
		return -1, nil, err
	}
	if r.isRunning() {
		const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
		root, err = unix.Open(fmt.Sprintf("/proc/%d/root", r.State.PID), flags, 0)
		if err == nil && !r.isRunning() { // another process may have its number by now
			err = errors.Join(fmt.Errorf("container %s %w", r.Name, errEnded), unix.Close(root))
		}
		return root, func() error { return unix.Close(root) }, err
	}
	if r, err = s.take(name); err != nil {
		return -1, nil, err
	}
	root, end, err := thread.Root(r.mountHere)
	if err != nil {
		return -1, nil, errors.Join(err, r.release())
	}
	return root, func() error { end(); return r.release() }, nil
}

// mountHere gives the thread a mount namespace with the container's root as its own. What it opens
// for that are its own descriptors, which end with it.
func (r *Record) mountHere() error {
	p := hostPlan()
	p.before = p
	if union.OpaqueMark() != "trusted.overlay.opaque" {
		p.Clone.Flags |= unix.CLONE_NEWUSER // box is root in a user namespace only
	}
	binds, err := r.Run.binds()
	if err == nil {
		err = r.Run.openVolumes(binds)
	}
	if err != nil {
		return err
	}
	root := &newRoot{Container: r.Run, Plan: p}
	p.Unshare(unix.CLONE_NEWNS | unix.CLONE_FILES)
	p.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	root.enter()
	for _, b := range binds {
		if b.Type != "tmpfs" { // memory is empty in a container that does not run
			root.queueMount(pendingMount{mount: root.bind(b), target: b.Target, isDir: b.IsDir})
		}
	}
	p.PivotRoot(".", ".")
	p.Detach(".")
	root.attach()
	if r.Run.ReadOnly {
		p.SetMountAlone(p.OpenPath("/", unix.O_DIRECTORY, 0).Result(), rdOnly)
	}
	return p.Perform(nil)
}

// asInside runs this same command as user 0 of the container's own user namespace, where an
// ordinary user may enter /proc/PID/root and has the files of all users. Of a container that does
// not run, that is a namespace like it.
func (r *Record) asInside() error {
	if !r.isRunning() {
		return r.store.asInside()
	}
	p := newPlan()
	pidfd := p.before.PidfdOpen(r.State.PID).Result()
	p.Setns(pidfd, unix.CLONE_NEWUSER)
	p.Setresid(0, 0)
	argv := append([]string{"/proc/self/exe"}, os.Args[1:]...)
	p.Execve(argv, append(os.Environ(), "BOX_ROOT="+r.store.dir()), "")
	return p.live(&plan.Narration{})
}
