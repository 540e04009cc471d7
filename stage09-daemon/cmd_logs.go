// box logs prints the log of a container that was left running, each line to the stream that the
// container printed it to.

package main

import (
	"context"
	"errors"
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
	file, err := os.Open(r.path("log"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // it has printed nothing, or to its caller alone
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if err := c.Selection.Seek(file); err != nil {
		return err
	}
	var more func() bool
	if c.Follow {
		more = func() bool { return state.Held(r.livePath()) && !c.Selection.IsOver(time.Now()) }
	}
	return journal.Read(context.Background(), file, more, c.print)
}

// print prints a line to the stream that the container printed it to.
func (c *logsCmd) print(line journal.Line) error {
	to := os.Stdout
	if line.Stream == "stderr" {
		to = os.Stderr
	}
	_, err := to.WriteString(c.Selection.Text(line))
	return err
}
