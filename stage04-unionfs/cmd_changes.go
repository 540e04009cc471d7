// Commands that show or keep what a container has changed: diff, commit and export. A file or
// directory that they make appears under its name when it is complete.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
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
		fmt.Printf("%c %s\n", change.kind, change.path)
	}
	return err
}

type commitCmd struct {
	oneContainer

	Dir string `arg:"" name:"layerdir" help:"The directory to make. It must not exist."`
}

// Run is `box commit`. The container is stopped meanwhile, if it runs.
func (c *commitCmd) Run() error {
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.Dir); err == nil {
		return fmt.Errorf("commit: %s is there already: give the name of a new directory", c.Dir)
	}
	if os.Geteuid() != 0 {
		return r.store.asInside()
	}
	return r.whileFrozen(func() error { return r.store.makeFor(c.Dir, unix.RENAME_NOREPLACE, r.commit) })
}

type exportCmd struct {
	oneContainer

	Output string `short:"o" help:"The file to write to; else it is standard output." placeholder:"FILE"`
}

// Run is `box export`.
func (c *exportCmd) Run() error {
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	if c.Output == "" && term.IsTerminal(1) {
		return errors.New("refusing to write an archive to a terminal; use -o FILE or redirect")
	}
	if os.Geteuid() != 0 {
		return r.store.asInside()
	}
	return r.whileFrozen(func() error {
		if c.Output == "" {
			return r.export(os.Stdout)
		}
		return r.store.makeFor(c.Output, 0, r.exportTo)
	})
}

// makeFor is make for a path that the user gave.
func (s Store) makeFor(path string, flags uint, fill func(build string) error) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := s.make(path, flags, fill); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// exportTo writes the archive to a new file.
func (r *Record) exportTo(path string) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(r.export(out), out.Close())
}

// asInside runs this same command as asOwner does: files of other users of the containers, and
// those that their owner made unreadable, can be read only there.
func (s Store) asInside() error {
	return asOwner(s, append([]string{"/proc/self/exe"}, os.Args[1:]...)...)
}
