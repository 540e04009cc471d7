// What flags exclude one another and what values none may have, and kill of a container that has a
// restart policy. Package restart has the grammar of policies.

package main

import (
	"cmp"
	"errors"

	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/capability"
	"stagebox/stage03-rootfs/rlimit"
	"stagebox/stage03-rootfs/rootdir"
	"stagebox/stage03-rootfs/seccomp"
	"stagebox/stage03-rootfs/sysctl"
)

// checkRestart refuses a policy that no monitor would carry out.
func (c *Container) checkRestart() error {
	if c.Restart != "" && !c.Detach && !c.DryRun {
		return errors.New("--restart is for a container in the background: add --detach")
	}
	return c.checkFlags()
}

// checkFlags refuses flags that exclude one another, and modes of namespaces that there are not.
func (c *Container) checkFlags() error { return errors.Join(c.checkAutoRemove(), c.readModes()) }

// checkValues refuses, when a container is made, what would keep it from ever starting. Run finds it
// while it composes its list.
func (c *Container) checkValues() error {
	_, err := capability.Select(c.CapAdd, c.CapDrop, false)
	_, errOption := seccomp.ParseOptions(c.SecurityOpt)
	return cmp.Or(c.Limits.Check(), err, errOption, rlimit.Check(c.Ulimit), sysctl.Check(c.Sysctl),
		rootdir.CheckWorkdir(cmp.Or(c.Workdir, "/")))
}

// checkAutoRemove refuses a container that is both removed and started again at its end.
func (c *Container) checkAutoRemove() error {
	if c.Restart != "" && c.Rm {
		return errors.New("--restart and --rm exclude one another: leave one out")
	}
	return nil
}

// sendSignal is for kill. SIGKILL and the signal of stop keep the container from starting again.
func (r *Record) sendSignal(s unix.Signal) error {
	if s != unix.SIGKILL && s != r.Run.stopSignal() {
		return r.signal(s)
	}
	wasLive := r.isLive()
	now, err := r.noteStopped()
	if err != nil || wasLive && !now.isLive() {
		return err
	}
	if err := now.signal(s); err != nil || s != unix.SIGKILL {
		return err
	}
	return now.awaitKill()
}
