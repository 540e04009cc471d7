// Commands that show or keep what a container has changed: diff, commit and export. A file or
// directory that they make appears under its name when it is complete.

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"stagebox/stage04-unionfs/state"
)

type diffCmd struct{ oneContainer }

// Run is `box diff`.
func (c *diffCmd) Run() error {
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return r.store.asInside()
	}
	list, err := r.overlay().changes()
	for _, change := range list {
		fmt.Printf("%c %s\n", change.Kind, change.Path)
	}
	return err
}

type commitCmd struct {
	oneContainer

	Dir string `arg:"" optional:"" name:"image|layerdir" help:"Name of the image to create (default: none), or a path with a slash or a leading dot to write a layer directory."`

	Author  string `short:"a" help:"Author of the image."`
	Message string `short:"m" help:"Commit message."`

	ChangeOptions
}

// Run is `box commit`. The container is stopped meanwhile, if it runs.
func (c *commitCmd) Run() error {
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(c.Dir, "/") && !strings.HasPrefix(c.Dir, ".") {
		return c.commitImage(r)
	}
	if _, err := os.Lstat(c.Dir); err == nil {
		return fmt.Errorf("commit: %s is there already: give the name of a new directory", c.Dir)
	}
	if os.Geteuid() != 0 {
		return r.store.asInside()
	}
	path, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	return r.whileFrozen(func() error {
		if err := r.store.notes().Make(path, r.commit); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
}

type exportCmd struct {
	oneContainer

	Output string `short:"o" help:"Write to a file; - is standard output (default: -)." placeholder:"FILE"`
}

// Run is `box export`.
func (c *exportCmd) Run() error {
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	if state.IsStdout(c.Output) && term.IsTerminal(1) {
		return errors.New("refusing to write an archive to a terminal; use -o FILE or redirect")
	}
	if os.Geteuid() != 0 {
		return r.store.asInside()
	}
	return state.Output(c.Output, state.Durable, func(out *os.File) error {
		return r.whileFrozen(func() error { return r.export(out) })
	})
}

// asInside runs this same command as asOwner does: files of other users of the containers, and
// those that their owner made unreadable, can be read only there.
func (s Store) asInside() error {
	return asOwner(s, append([]string{"/proc/self/exe"}, os.Args[1:]...)...)
}
