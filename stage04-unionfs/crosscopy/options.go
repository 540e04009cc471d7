package crosscopy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/fault"
)

// Options are the arguments and flags of cp.
type Options struct {
	From string `arg:"" name:"source" help:"CONTAINER:PATH, a path of the host, or - for a tar archive from standard input. DIR/. means the contents of DIR."`
	To   string `arg:"" name:"destination" help:"CONTAINER:PATH, a path of the host, or - for a tar archive to standard output."`

	Archive    bool `short:"a" help:"Keep numeric owners when copying to the host (default: the caller owns the copies). Copies into a container always keep them."`
	FollowLink bool `short:"L" help:"Follow a symbolic link given as source."`
	Quiet      bool `short:"q" help:"Do not show progress on a terminal."`
}

// side is a container, or the host if the name is empty, and a path in it.
type side struct{ container, path string }

// sideOf reads CONTAINER:PATH, or a path of the host, which may hold a colon after a slash or dot.
func sideOf(arg string) (side, error) {
	name, path, found := strings.Cut(arg, ":")
	if found && name != "" && !strings.ContainsAny(name[:1], "/.") {
		if path == "" {
			return side{}, fault.Invalid.Errorf("cp %s: give a path after the colon; the container's root is %s/", arg, arg)
		}
		return side{container: name, path: withEnd(filepath.Join("/", path), path)}, nil
	}
	full, err := filepath.Abs(arg)
	return side{path: withEnd(full, arg)}, err
}

// withEnd gives a cleaned path the slash or the dot again that a path has had at its end.
func withEnd(clean, path string) string {
	switch {
	case path == "." || strings.HasSuffix(path, "/."):
		return strings.TrimSuffix(clean, "/") + "/."
	case clean == "/":
		return clean
	case strings.HasSuffix(path, "/"):
		return clean + "/"
	}
	return clean
}

// sides returns both, of which one is a container.
func (o Options) sides() (from, to side, err error) {
	from, err = sideOf(o.From)
	to, errTo := sideOf(o.To)
	switch {
	case err != nil || errTo != nil:
		err = errors.Join(err, errTo)
	case o.From == "" || o.To == "":
		err = errors.New("cp: a path is empty: . is the current directory")
	case from.container == "" && to.container == "":
		err = errors.New("cp: one of the two has to be CONTAINER:PATH, such as web:/etc")
	case from.container != "" && to.container != "":
		err = errors.New("cp: copying from one container to another takes two steps, or box cp A:PATH - | box cp - B:PATH")
	}
	return from, to, err
}

// Container returns the name of the container that takes part.
func (o Options) Container() (string, error) {
	from, to, err := o.sides()
	if err == nil && o.To == "-" && term.IsTerminal(1) {
		err = errors.New("refusing to write an archive to a terminal; redirect it")
	}
	return from.container + to.container, err
}

// Copy copies between the host's root and the container's, which the descriptor inside is of. It
// reads an archive from standard input, or writes one to standard output, where a path is "-".
func (o Options) Copy(inside int) error {
	from, to, err := o.sides()
	if err != nil {
		return err
	}
	host, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(host)
	tree := func(s side) Tree {
		if s.container == "" {
			return Tree{Root: host}
		}
		return Tree{Root: inside, Name: s.container + ":"}
	}
	if o.From == "-" {
		place, err := tree(to).Place(to.path, nil)
		if err != nil {
			return err
		}
		defer place.Close()
		bytes, err := place.Unpack(os.Stdin, true)
		return o.report(bytes, err)
	}
	source, err := tree(from).Source(from.path, o.FollowLink)
	if err != nil {
		return err
	}
	defer source.Close()
	if o.To == "-" {
		return source.Archive(os.Stdout, nil)
	}
	place, err := tree(to).Place(to.path, source)
	if err != nil {
		return err
	}
	defer place.Close()
	bytes, err := Copy(source, place, o.Archive || to.container != "")
	return o.report(bytes, err)
}

// report says on a terminal how much was copied.
func (o Options) report(bytes int64, err error) error {
	if err != nil {
		return fmt.Errorf("cp %s %s: %w", o.From, o.To, err)
	}
	if !o.Quiet && term.IsTerminal(1) {
		fmt.Fprintf(os.Stderr, "Successfully copied %s to %s\n", units.FormatSize(bytes), o.To)
	}
	return nil
}
