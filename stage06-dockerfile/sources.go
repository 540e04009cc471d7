// The files that a source of COPY or ADD refers to: a path, or a pattern of Go's path.Match;
// with --parents also **, and /./ before the directories that the copy keeps. Files that
// .dockerignore or --exclude leaves out do not exist for it.
package main

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
)

// found is a file of the source, and its path below the directory in which it was found.
type found struct {
	*union.Node
	path string
}

// sourceDir is a directory in which a source was looked for, and the files that were found there.
type sourceDir struct {
	pivot *union.Node
	files []found
}

// sources finds the files that a source refers to. They stay open until the source is closed,
// also if one of them is in another.
func (c *copying) sources(source string) (list []sourceDir, err error) {
	pivots, kept, err := c.pivots(source)
	for _, pivot := range pivots {
		if err != nil {
			return nil, err
		}
		var files []found
		files, err = c.matches(pivot.Node, kept)
		list = append(list, sourceDir{pivot.Node, files})
		for _, f := range append(files, pivot) {
			for n := f.Node; n != c.from.Root(); n = n.Parent() {
				c.held = withKey(c.held, n, true)
			}
		}
	}
	return list, err
}

// pivots returns the directories in which a source is looked for, and the rest of the source.
// Without --parents there is one, the root. With it, the source may have /./, and the part
// before that may be a pattern.
func (c *copying) pivots(source string) ([]found, string, error) {
	if !c.parents {
		return []found{{c.from.Root(), "."}}, source, nil
	}
	before, kept, cut := strings.Cut(source, "/./")
	if !cut {
		before, kept = "/", source
	}
	if path.Clean("/"+kept) == "/" {
		return nil, "", errors.New(
			"--parents keeps the directories of a name, and there is none: copy without it")
	}
	c.optional = isPattern(source)
	list, err := c.glob(c.from.Root(), before, c.optional, true)
	list = slices.DeleteFunc(list, func(f found) bool { return !f.IsDir() })
	if err == nil && len(list) == 0 && !c.optional {
		err = fmt.Errorf("%s is no directory in %s; a link is not followed", before, c.where())
	}
	return list, kept, err
}

// matches returns the files in a directory that a source refers to. With --parents no link is
// followed, and a file in a directory that ** has found too is copied with the directory.
func (c *copying) matches(pivot *union.Node, kept string) ([]found, error) {
	list, err := c.glob(pivot, kept, !c.parents, !c.optional)
	if !c.parents {
		return list, err
	}
	whole := map[*union.Node]bool{}
	return slices.DeleteFunc(list, func(f found) bool {
		for n := f.Node; n != pivot; n = n.Parent() {
			if whole[n] {
				return true
			}
		}
		whole[f.Node] = true
		return false
	}), err
}

func isPattern(text string) bool { return strings.ContainsAny(text, "*?[") }

// glob finds the files below a directory that match a path or pattern. If must is set, the part
// before the first pattern must exist.
func (c *copying) glob(dir *union.Node, pattern string, follow, must bool) ([]found, error) {
	list := []found{{dir, "."}}
	parts := strings.Split(strings.Trim(path.Clean("/"+pattern), "/"), "/")
	for i, part := range parts {
		var next []found
		for _, dir := range list {
			more, err := c.match(dir, part, follow)
			if part == "**" && i < len(parts)-1 && c.parents {
				more, err = allBelow(dir)
			}
			if err != nil {
				return nil, err
			}
			next = append(next, more...)
		}
		if must = must && !isPattern(part); must && len(next) == 0 {
			return nil, fmt.Errorf("there is no such file in %s", c.where())
		}
		list = next
	}
	return c.withoutIgnored(list, must)
}

// withoutIgnored removes the files that .dockerignore leaves out. A file may be found by a link,
// and it is its own path that counts.
func (c *copying) withoutIgnored(list []found, must bool) (seen []found, err error) {
	for _, f := range list {
		wanted, err := isWanted(f.Node, f.Path(), c.keep)
		if err != nil {
			return nil, err
		}
		if wanted {
			seen = append(seen, f)
		}
	}
	if must && len(seen) == 0 {
		return nil, fmt.Errorf("the file is in %s, but .dockerignore leaves it out", c.where())
	}
	return seen, nil
}

// where is the name of the source's place in messages.
func (c *copying) where() string {
	if ref := c.in.Flag("from"); ref != "" {
		return "--from=" + ref
	}
	return "the context"
}

// allBelow returns a directory and those in it, however deep.
func allBelow(dir found) ([]found, error) {
	if !dir.IsDir() {
		return nil, nil
	}
	list := []found{dir}
	children, err := dir.Children()
	for _, child := range children {
		if err == nil {
			var more []found
			more, err = allBelow(found{child, path.Join(dir.path, child.Name())})
			list = append(list, more...)
		}
	}
	return list, err
}

// match finds the files of a directory that match one part of a path.
func (c *copying) match(dir found, part string, follow bool) ([]found, error) {
	if part == "" || part == "." {
		return []found{dir}, nil
	}
	if !dir.IsDir() {
		return nil, nil
	}
	if strings.ContainsAny(part, `*?[\`) {
		return c.matchPattern(dir, part, follow)
	}
	n, err := dir.Child(part)
	if err == nil && follow {
		n, err = c.follow(n)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	return []found{{n, path.Join(dir.path, part)}}, err
}

func (c *copying) matchPattern(dir found, pattern string, follow bool) (list []found, err error) {
	children, err := dir.Children()
	for _, n := range children {
		ok, errMatch := path.Match(pattern, n.Name())
		if errMatch != nil {
			return nil, fmt.Errorf("%q is not a pattern: %w", pattern, errMatch)
		}
		if !ok {
			continue
		}
		at := path.Join(dir.path, n.Name())
		if follow {
			target, err := c.follow(n)
			switch {
			case err == nil:
				n = target
			case !errors.Is(err, unix.ENOENT): // a broken link is copied as it is
				return nil, err
			}
		}
		list = append(list, found{n, at})
	}
	return list, err
}

// follow returns the target of a link. One that .dockerignore leaves out is broken.
func (c *copying) follow(n *union.Node) (*union.Node, error) {
	if !n.Is(unix.S_IFLNK) {
		return n, nil
	}
	wanted, _, err := c.keep(n.Path(), false)
	if err == nil && !wanted {
		err = unix.ENOENT
	}
	if err != nil {
		return nil, err
	}
	return c.from.Find(n.Path(), true)
}

// keeping reports whether a path of the source is wanted, and whether something in it may be.
type keeping func(rel string, isDir bool) (wanted, inside bool, err error)

// keep is the keeping of .dockerignore.
func (c *copying) keep(rel string, isDir bool) (wanted, inside bool, err error) {
	if rel == "." {
		return true, true, nil
	}
	if c.ignore != nil {
		ignored, whole, err := c.ignore.Ignores(rel, isDir)
		if err != nil || ignored {
			return false, isDir && !whole, err
		}
	}
	return true, true, nil
}

// excluding is keep without the files that --exclude names: in the directory that is copied, or
// with --parents in that from which paths are kept.
func (c *copying) excluding(f found) keeping {
	base := f.Path()
	if c.parents {
		base = c.pivot.Path()
	}
	return func(rel string, isDir bool) (bool, bool, error) {
		wanted, inside, err := c.keep(rel, isDir)
		if err != nil || len(c.in.Flags["exclude"]) == 0 {
			return wanted, inside, err
		}
		below := strings.TrimPrefix(strings.TrimPrefix(rel, base), "/")
		if base == "." {
			below = rel
		}
		excluded, err := c.exclude.MatchesOrParentMatches(below)
		return wanted && !excluded, inside && isDir, err
	}
}

// isWanted reports whether a file is wanted, or a directory for something in it.
func isWanted(n *union.Node, rel string, keep keeping) (bool, error) {
	wanted, inside, err := keep(rel, n.IsDir())
	if err != nil || wanted || !inside {
		return wanted, err
	}
	children, err := n.Children()
	for _, child := range children {
		wanted, err := isWanted(child, path.Join(rel, child.Name()), keep)
		if err != nil || wanted {
			return wanted, err
		}
	}
	return false, err
}

// eachWanted calls do for the files of a directory that are wanted, whose path is rel, and
// closes the directories among them.
func (c *copying) eachWanted(
	n *union.Node, rel string, keep keeping, do func(child *union.Node, rel string) error,
) error {
	children, err := n.Children()
	if err != nil {
		return err
	}
	for _, child := range children {
		below := path.Join(rel, child.Name())
		wanted, err := isWanted(child, below, keep)
		if err == nil && wanted {
			err = do(child, below)
		}
		if err != nil {
			return err
		}
		if child.IsDir() && !c.held[child] {
			child.Forget()
		}
	}
	return nil
}
