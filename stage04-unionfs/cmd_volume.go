// box volume lists and removes volumes: those with names, and those that a container was given
// without one.

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"stagebox/stage04-unionfs/ids"
)

type volumeCmd struct {
	Ls volumeLsCmd `cmd:"" help:"List the volumes."`
	Rm volumeRmCmd `cmd:"" help:"Remove volumes that no container has."`
}

type volumeLsCmd struct{ Store }

// Run is `box volume ls`.
func (c *volumeLsCmd) Run() error {
	if err := c.Store.open(); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.Store.path("volumes"))
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			fmt.Println(entry.Name())
		}
	}
	return err
}

type volumeRmCmd struct {
	Names []string `arg:"" name:"volume" help:"Their names."`

	Store
}

// Run is `box volume rm`.
func (c *volumeRmCmd) Run() error {
	return printEach(c.Names, func(name string) error {
		if !ids.IsName(name) {
			return fmt.Errorf("%q is no name of a volume: box volume ls lists them", name)
		}
		err := c.Store.removeVolume(name, "")
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no volume %q: box volume ls lists them", name)
		}
		return err
	})
}
