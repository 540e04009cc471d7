// box inside, a hidden command that box starts for itself in a user namespace; layers.go explains
// why.

package main

import (
	"errors"
	"os"
	"strconv"
	"time"

	"stagebox/stage05-images/layer"
	"stagebox/stage06-dockerfile/output"
)

type insideCmd struct {
	Do     string   `arg:"" enum:"own,pack,times,flatten,tree"`
	Dir    string   `arg:""`
	Owners []string `arg:"" optional:""`

	Store Store `embed:""`
}

// Run is `box inside`: outside of the namespace it enters it, and inside it does the work.
func (c *insideCmd) Run() error {
	switch {
	case os.Geteuid() != 0:
		return c.Store.asInside()
	case c.Do == "own":
		return layer.SetOwners(c.Dir)
	case c.Do == "times":
		most, err := strconv.ParseInt(c.Owners[0], 10, 64)
		return errors.Join(err, layer.LowerTimes(c.Dir, time.Unix(most, 0)))
	case c.Do == "flatten":
		return layer.Flatten(c.Dir, c.Owners)
	case c.Do == "tree":
		return output.Inside(os.Stdout, append([]string{c.Dir}, c.Owners...)...)
	default:
		_, err := layer.Pack(os.Stdout, c.Dir, c.Owners...)
		return err
	}
}
