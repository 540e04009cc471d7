// The grammar of --restart, and kill of a container that has a restart policy.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// restartPolicy is the value of --restart, "" for no.
type restartPolicy string

// UnmarshalText reads the value of a flag.
func (p *restartPolicy) UnmarshalText(text []byte) error {
	*p = restartPolicy(text)
	name, most, hasMost := strings.Cut(string(text), ":")
	n, err := strconv.Atoi(most)
	switch {
	case hasMost && (name != "on-failure" || err != nil || n < 0):
		return fmt.Errorf("%q: only on-failure takes a number of restarts: on-failure:3", text)
	case name == "no" || name == "":
		*p = ""
	case name != "on-failure" && name != "always" && name != "unless-stopped":
		return fmt.Errorf("%q: no such policy; there are no, on-failure[:N], always, unless-stopped", text)
	}
	return nil
}

// split returns the name of the policy, and how often it restarts at most; 0 for any number.
func (p restartPolicy) split() (name string, most int) {
	name, number, _ := strings.Cut(string(p), ":")
	most, _ = strconv.Atoi(number)
	return cmp.Or(name, "no"), most
}

// checkRestart refuses a policy that no monitor would carry out.
func (c *Container) checkRestart() error {
	if c.Restart != "" && !c.Detach && !c.DryRun {
		return errors.New("--restart is for a container in the background: add --detach")
	}
	return c.checkAutoRemove()
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
	return now.signal(s)
}
