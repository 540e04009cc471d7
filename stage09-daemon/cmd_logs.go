// box logs prints the log of a container that was left running, each line to the stream that the
// container printed it to.

package main

import (
	"os"
	"time"

	"stagebox/stage04-unionfs/journal"
	"stagebox/stage04-unionfs/state"
)

type logsCmd struct {
	oneContainer

	Follow bool `short:"f" help:"Keep printing new output until the container exits."`

	journal.Selection
}

// Run is `box logs`.
func (c *logsCmd) Run() error {
	if err := c.Selection.Parse(time.Now()); err != nil {
		return err
	}
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	var more func() bool
	if c.Follow {
		more = func() bool { return state.Held(r.livePath()) }
	}
	return c.Selection.Show(r.path("log"), os.Stdout, os.Stderr, more)
}
