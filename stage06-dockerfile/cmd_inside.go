// box inside is how box starts itself in a user namespace. Nobody types it; why it is needed is in
// layers.go.
package main

import (
	"os"

	"stagebox/stage05-images/layer"
)

// insideCmd is how box starts itself for that.
type insideCmd struct {
	Do     string   `arg:"" enum:"own,pack"`
	Dir    string   `arg:""`
	Owners []string `arg:"" optional:""`

	Store
}

// Run is `box inside`, first outside, then inside.
func (c *insideCmd) Run() error {
	switch {
	case os.Geteuid() != 0:
		return c.Store.asInside()
	case c.Do == "own":
		return layer.SetOwners(c.Dir)
	default:
		_, err := packLayer(os.Stdout, c.Dir, c.Owners...)
		return err
	}
}
