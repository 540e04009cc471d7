// box cp copies files between a container and the host, by the rules of docker cp; the package
// crosscopy has them.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/crosscopy"
)

type cpCmd struct {
	From string `arg:"" name:"source" help:"CONTAINER:PATH, a path of the host, or - for a tar archive from standard input. DIR/. is what DIR holds."`
	To   string `arg:"" name:"destination" help:"The same; - writes a tar archive to standard output."`

	Archive    bool `short:"a" help:"Give what is copied to the host its owners in the container (default: the caller). In the container files always keep their numbers."`
	FollowLink bool `short:"L" help:"Copy the file that SOURCE leads to, if it is a link."`
	Quiet      bool `short:"q" help:"Do not say on a terminal how much was copied."`

	Store
}

// side is a container, or the host if the name is empty, and a path in it.
type side struct {
	container, path string
	tree            crosscopy.Tree
}

// sideOf reads CONTAINER:PATH, or a path of the host, which may hold a colon after a slash or dot.
func sideOf(arg string) (side, error) {
	name, path, found := strings.Cut(arg, ":")
	if found && name != "" && !strings.ContainsAny(name[:1], "/.") {
		if path == "" {
			return side{}, fmt.Errorf("cp %s: give a path after the colon; the container's root is %s/", arg, arg)
		}
		return side{container: name, path: withEnd(filepath.Join("/", path), path)}, nil
	}
	full, err := filepath.Abs(arg)
	return side{path: withEnd(full, arg)}, err
}

// withEnd gives a cleaned path the slash or the dot again that a path has had at its end.
func withEnd(clean, path string) string {
	switch {
	case clean == "/":
		return clean
	case path == "." || strings.HasSuffix(path, "/."):
		return clean + "/."
	case strings.HasSuffix(path, "/"):
		return clean + "/"
	}
	return clean
}

// Run is `box cp`.
func (c *cpCmd) Run() (err error) {
	from, err := sideOf(c.From)
	to, errTo := sideOf(c.To)
	switch {
	case err != nil || errTo != nil:
		return errors.Join(err, errTo)
	case from.container == "" && to.container == "":
		return errors.New("cp: one of the two has to be CONTAINER:PATH")
	case from.container != "" && to.container != "":
		return errors.New("cp: copying from one container to another takes two steps, or box cp A:PATH - | box cp - B:PATH")
	case c.To == "-" && term.IsTerminal(1):
		return errors.New("refusing to write an archive to a terminal; redirect it")
	}
	if os.Geteuid() != 0 {
		r, err := c.Store.find(from.container + to.container)
		if err != nil {
			return err
		}
		return r.asInside()
	}
	host, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(host)
	inside, done, err := c.Store.view(from.container + to.container)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	from.tree, to.tree = crosscopy.Tree{Root: host}, crosscopy.Tree{Root: inside, Name: to.container + ":"}
	if from.container != "" {
		from.tree, to.tree = crosscopy.Tree{Root: inside, Name: from.container + ":"}, crosscopy.Tree{Root: host}
	}
	return c.copy(from, to)
}

func (c *cpCmd) copy(from, to side) error {
	if c.From == "-" {
		place, err := to.tree.Place(to.path, nil)
		if err != nil {
			return err
		}
		defer place.Close()
		bytes, err := place.Unpack(os.Stdin, true)
		return c.report(bytes, err)
	}
	source, err := from.tree.Source(from.path, c.FollowLink)
	if err != nil {
		return err
	}
	defer source.Close()
	if c.To == "-" {
		return source.Archive(os.Stdout, nil)
	}
	place, err := to.tree.Place(to.path, source)
	if err != nil {
		return err
	}
	defer place.Close()
	bytes, err := crosscopy.Copy(source, place, c.Archive || to.container != "")
	return c.report(bytes, err)
}

// report says on a terminal how much was copied.
func (c *cpCmd) report(bytes int64, err error) error {
	if err != nil {
		return fmt.Errorf("cp %s %s: %w", c.From, c.To, err)
	}
	if !c.Quiet && term.IsTerminal(1) {
		fmt.Fprintf(os.Stderr, "Successfully copied %s to %s\n", units.FormatSize(bytes), c.To)
	}
	return nil
}
