// The commands about images as files: save, load and import. What they read and write is in
// archives.go.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/registry"
)

type loadCmd struct {
	Input string `short:"i" help:"Read from a file (default: standard input)." placeholder:"FILE"`
	Quiet bool   `short:"q" help:"Show no progress. There is none to show: the output stays the same."`

	Store Store `embed:""`

	layer.LimitFlags
}

// Run is `box load`.
func (c *loadCmd) Run() error {
	in := os.Stdin
	if c.Input != "" {
		file, err := os.Open(c.Input)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	} else if term.IsTerminal(0) {
		return errors.New("refusing to read an archive from a terminal; use -i FILE or a pipe")
	}
	if err := c.Store.setLimits(c.LimitFlags); err != nil {
		return err
	}
	names, err := c.Store.load(in)
	for _, name := range names {
		what := "Loaded image: "
		if digest.Digest(name).Validate() == nil {
			what = "Loaded image ID: "
		}
		fmt.Println(what + name)
	}
	if err != nil {
		return fmt.Errorf("load %s: %w", cmp.Or(c.Input, "what comes on standard input"), err)
	}
	return nil
}

type saveCmd struct {
	Images []string `arg:"" name:"image" help:"Images, by name, id or id prefix."`
	Output string   `short:"o" help:"Write to a file; - is standard output (default: -)." placeholder:"FILE"`

	Store Store `embed:""`
}

// Run is `box save`.
func (c *saveCmd) Run() error {
	if state.IsStdout(c.Output) && term.IsTerminal(1) {
		return errors.New("refusing to write an archive to a terminal; use -o FILE or redirect")
	}
	done, err := c.Store.using()
	if err != nil {
		return err
	}
	defer done()
	return state.Output(c.Output, state.Durable, func(out *os.File) error { return c.Store.save(out, c.Images) })
}

type importCmd struct {
	File string `arg:"" help:"A tar archive of files, compressed or not; - is standard input."`
	Name string `arg:"" optional:"" help:"Name of the image."`

	ChangeOptions

	Store Store `embed:""`

	layer.LimitFlags
}

// Run is `box import`.
func (c *importCmd) Run() error {
	done, err := c.Store.using()
	if err != nil {
		return err
	}
	defer done()
	name := ""
	if c.Name != "" {
		ref, err := registry.ParseNewName(c.Name)
		if err != nil {
			return err
		}
		name = ref.String()
	}
	in := os.Stdin
	if c.File != "-" {
		if in, err = os.Open(c.File); err != nil {
			return err
		}
		defer in.Close()
	}
	if err := c.Store.setLimits(c.LimitFlags); err != nil {
		return err
	}
	image, err := c.Store.importTar(in, name, c.ChangeOptions)
	if err != nil {
		return about("import", c.File, err)
	}
	_, err = fmt.Println(image.ID)
	return err
}
