// box cp copies files between a container and the host, by the rules of docker cp; the package
// crosscopy has them.
package main

import (
	"errors"
	"os"

	"stagebox/stage04-unionfs/crosscopy"
)

type cpCmd struct {
	crosscopy.Options

	Store Store `embed:""`
}

// Run is `box cp`.
func (c *cpCmd) Run() (err error) {
	name, err := c.Options.Container()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		r, err := c.Store.find(name)
		if err != nil {
			return err
		}
		return r.asInside()
	}
	inside, done, err := c.Store.view(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	return c.Options.Copy(inside)
}
