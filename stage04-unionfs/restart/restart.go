// Package restart has the grammar of restart policies: when a container in the background is started
// again after it has ended by itself. No lesson reads it.
package restart

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"stagebox/stage04-unionfs/fault"
)

// Policy is the value of --restart: always, unless-stopped, or on-failure, with :N for at most N
// restarts; "" for no.
type Policy string

// UnmarshalText reads the value of a flag.
func (p *Policy) UnmarshalText(text []byte) error {
	*p = Policy(text)
	name, most, hasMost := strings.Cut(string(text), ":")
	n, err := strconv.Atoi(most)
	switch {
	case hasMost && (name != "on-failure" || err != nil || n < 0):
		return fmt.Errorf("%q: only on-failure takes a number of restarts: on-failure:3", text)
	case name == "no" || name == "":
		*p = ""
	case name != "on-failure" && name != "always" && name != "unless-stopped":
		return fault.Invalid.Errorf("%q: no such policy; there are no, on-failure[:N], always, unless-stopped", text)
	}
	return nil
}

// Split returns the name of the policy, and how often it restarts at most; 0 for any number.
func (p Policy) Split() (name string, most int) {
	name, number, _ := strings.Cut(string(p), ":")
	most, _ = strconv.Atoi(number)
	return cmp.Or(name, "no"), most
}

// Wants reports whether a container that has ended with an exit status, after so many restarts, is
// started again.
func (p Policy) Wants(status, restarts int) bool {
	name, most := p.Split()
	if name == "on-failure" {
		return status != 0 && (most == 0 || restarts < most)
	}
	return name != "no"
}

// The delay before a restart doubles from the shortest to the longest, as in Docker. A run that
// held for a while resets it.
const (
	shortestDelay = 100 * time.Millisecond
	longestDelay  = time.Minute
	longRun       = 10 * time.Second
)

// Delay is how long to wait before a restart, after the delay before the last one, and a run of some
// time.
func Delay(last, ran time.Duration) time.Duration {
	if ran >= longRun {
		return shortestDelay
	}
	return min(max(2*last, shortestDelay), longestDelay)
}
