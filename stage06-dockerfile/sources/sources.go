// Package sources finds the files that COPY and ADD name: by a path, or by a pattern of Go's
// path.Match; with --parents also by **, and with /./ before the directories that the copy keeps
// (the Dockerfile reference, COPY). A file that .dockerignore or --exclude leaves out does not
// exist for it. Files are those of a union of layers: of the context, a stage or an image.
//
// A Search is one COPY or ADD. Find returns the files that a source names, and EachWanted walks
// through one of them that is a directory, Below through all that is below it, for later stages. A copy
// and the checksum of its files use both, so that they are about the same files. The lesson reads
// Search.Find.
package sources

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
	"stagebox/stage06-dockerfile/dockerfile"
)

// Search is where and how the sources of an instruction are looked for.
type Search struct {
	From    *union.FS
	Where   string                         // From in messages, such as "the context"
	Ignore  *dockerfile.Ignore             // .dockerignore, or nil
	Exclude *patternmatcher.PatternMatcher // --exclude, or nil
	Parents bool                           // --parents

	held map[*union.Node]bool // the files that were found, and the directories above them
}

// File is a file of the source.
type File struct {
	*union.Node
	At    string      // its path below Pivot, which may lead through links
	Pivot *union.Node // the directory in which it was found
}

// Dir is a directory in which a source was looked for, and the files that were found there.
type Dir struct {
	Pivot *union.Node
	Files []File
}

// Find returns the files that a source names, by the directories in which they were found: From's
// root, or with --parents and /./ any number of them. They stay open until From is closed, also if
// one of them is in another.
func (s *Search) Find(source string) (list []Dir, err error) {
	pivots, kept, must, err := s.pivots(source)
	for _, pivot := range pivots {
		if err != nil {
			return nil, err
		}
		var files []File
		files, err = s.matches(pivot.Node, kept, must)
		list = append(list, Dir{pivot.Node, files})
		for _, f := range append(files, pivot) {
			s.hold(f.Node)
		}
	}
	return list, err
}

// hold keeps EachWanted from closing a file and the directories above it.
func (s *Search) hold(n *union.Node) {
	if s.held == nil {
		s.held = map[*union.Node]bool{}
	}
	for ; n != s.From.Root(); n = n.Parent() {
		s.held[n] = true
	}
}

// pivots returns the directories in which a source is looked for, the rest of the source, and
// whether it must be there. Without --parents there is one directory, the root. With it, the source
// may have /./, and the part before that may be a pattern; a pattern may match nothing.
func (s *Search) pivots(source string) (list []File, kept string, must bool, err error) {
	root := s.From.Root()
	if !s.Parents {
		return []File{{root, ".", root}}, source, true, nil
	}
	before, kept, cut := strings.Cut(source, "/./")
	if !cut {
		before, kept = "/", source
	}
	if path.Clean("/"+kept) == "/" {
		return nil, "", false, errors.New(
			"--parents keeps the directories of a name, and there is none: copy without it")
	}
	must = !isPattern(source)
	list, err = s.glob(root, before, !must, true)
	list = slices.DeleteFunc(list, func(f File) bool { return !f.IsDir() })
	if err == nil && len(list) == 0 && must {
		err = fmt.Errorf("%s is not a directory in %s; links are not followed", before, s.Where)
	}
	return list, kept, must, err
}

// matches returns the files in a directory that a source names. With --parents no link is
// followed, and a file in a directory that ** has found too is copied with the directory.
func (s *Search) matches(pivot *union.Node, kept string, must bool) ([]File, error) {
	list, err := s.glob(pivot, kept, !s.Parents, must)
	if !s.Parents {
		return list, err
	}
	whole := map[*union.Node]bool{}
	return slices.DeleteFunc(list, func(f File) bool {
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
func (s *Search) glob(dir *union.Node, pattern string, follow, must bool) ([]File, error) {
	list := []File{{dir, ".", dir}}
	parts := strings.Split(strings.Trim(path.Clean("/"+pattern), "/"), "/")
	for i, part := range parts {
		var next []File
		for _, dir := range list {
			more, err := s.match(dir, part, follow)
			if part == "**" && i < len(parts)-1 && s.Parents {
				more, err = allBelow(dir)
			}
			if err != nil {
				return nil, err
			}
			next = append(next, more...)
		}
		if must = must && !isPattern(part); must && len(next) == 0 {
			return nil, fmt.Errorf("there is no such file in %s%s", s.Where, s.wayOut(pattern))
		}
		list = next
	}
	return s.withoutIgnored(list, must)
}

// wayOut says why a path that may be right on the host is not in the context.
func (s *Search) wayOut(pattern string) string {
	switch clean := path.Clean(pattern); {
	case s.Where != "the context":
		return ""
	case clean == ".." || strings.HasPrefix(clean, "../"):
		return ", which no .. leaves: build with a directory above it as context, and -f for the Dockerfile"
	case path.IsAbs(pattern):
		return ", which an absolute path begins in, too: / is not the host's"
	}
	return ""
}

// withoutIgnored removes the files that .dockerignore leaves out. A file may be found by a link,
// and it is its own path that counts.
func (s *Search) withoutIgnored(list []File, must bool) (seen []File, err error) {
	for _, f := range list {
		wanted, err := isWanted(f.Node, f.Path(), s.keep)
		if err != nil {
			return nil, err
		}
		if wanted {
			seen = append(seen, f)
		}
	}
	if must && len(seen) == 0 {
		return nil, fmt.Errorf("the file is in %s, but .dockerignore leaves it out", s.Where)
	}
	return seen, nil
}

// allBelow returns a directory and those in it, however deep.
func allBelow(dir File) ([]File, error) {
	if !dir.IsDir() {
		return nil, nil
	}
	list := []File{dir}
	children, err := dir.Children()
	for _, child := range children {
		if err == nil {
			var more []File
			more, err = allBelow(dir.child(child))
			list = append(list, more...)
		}
	}
	return list, err
}

// child is a file in a directory that was found, under its name there.
func (f File) child(n *union.Node) File {
	return File{n, path.Join(f.At, n.Name()), f.Pivot}
}

// match finds the files of a directory that match one part of a path.
func (s *Search) match(dir File, part string, follow bool) ([]File, error) {
	if part == "" || part == "." {
		return []File{dir}, nil
	}
	if !dir.IsDir() {
		return nil, nil
	}
	if strings.ContainsAny(part, `*?[\`) {
		return s.matchPattern(dir, part, follow)
	}
	n, err := dir.Child(part)
	if err == nil && follow {
		n, err = s.follow(n)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	return []File{{n, path.Join(dir.At, part), dir.Pivot}}, err
}

func (s *Search) matchPattern(dir File, pattern string, follow bool) (list []File, err error) {
	children, err := dir.Children()
	for _, n := range children {
		ok, errMatch := path.Match(pattern, n.Name())
		if errMatch != nil {
			return nil, fmt.Errorf("%q is not a pattern: %w", pattern, errMatch)
		}
		if !ok {
			continue
		}
		f := dir.child(n)
		if follow {
			target, err := s.follow(n)
			switch {
			case err == nil:
				f.Node = target
			case !errors.Is(err, unix.ENOENT): // a broken link is copied as it is
				return nil, err
			}
		}
		list = append(list, f)
	}
	return list, err
}

// follow returns the target of a link. One that .dockerignore leaves out is broken.
func (s *Search) follow(n *union.Node) (*union.Node, error) {
	if !n.Is(unix.S_IFLNK) {
		return n, nil
	}
	wanted, _, err := s.keep(n.Path(), false)
	if err == nil && !wanted {
		err = unix.ENOENT
	}
	if err != nil {
		return nil, err
	}
	return s.From.Find(n.Path(), true)
}

// Filter reports whether a path of From is wanted, and whether something in it may be.
type Filter func(rel string, isDir bool) (wanted, inside bool, err error)

// keep is the Filter of .dockerignore.
func (s *Search) keep(rel string, isDir bool) (wanted, inside bool, err error) {
	if rel == "." {
		return true, true, nil
	}
	if s.Ignore != nil {
		ignored, whole, err := s.Ignore.Ignores(rel, isDir)
		if err != nil || ignored {
			return false, isDir && !whole, err
		}
	}
	return true, true, nil
}

// Filter is the filter for what is in a file that was found: without the files that .dockerignore
// leaves out, and those that --exclude names in this directory, or with --parents in Pivot.
func (s *Search) Filter(f File) Filter {
	if s.Exclude == nil {
		return s.keep
	}
	base := f.Path()
	if s.Parents {
		base = f.Pivot.Path()
	}
	return func(rel string, isDir bool) (bool, bool, error) {
		wanted, inside, err := s.keep(rel, isDir)
		if err != nil {
			return wanted, inside, err
		}
		below := strings.TrimPrefix(strings.TrimPrefix(rel, base), "/")
		if base == "." {
			below = rel
		}
		excluded, err := s.Excludes(below)
		return wanted && !excluded, inside && isDir, err
	}
}

// Excludes reports whether --exclude names a path.
func (s *Search) Excludes(name string) (bool, error) {
	if s.Exclude == nil {
		return false, nil
	}
	return s.Exclude.MatchesOrParentMatches(name)
}

// Ignored reports whether .dockerignore leaves out a file, or a directory with all that is in it.
func (s *Search) Ignored(n *union.Node) (bool, error) {
	wanted, err := isWanted(n, n.Path(), s.keep)
	return !wanted, err
}

// isWanted reports whether a file is wanted, or a directory for something in it.
func isWanted(n *union.Node, rel string, keep Filter) (bool, error) {
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

// Below calls do for all files below a directory that a filter keeps, a directory before what is in it.
func (s *Search) Below(
	n *union.Node, rel string, keep Filter, do func(child *union.Node, rel string) error,
) error {
	return s.EachWanted(n, rel, keep, func(child *union.Node, rel string) error {
		if err := do(child, rel); err != nil {
			return err
		}
		return s.Below(child, rel, keep, do)
	})
}

// EachWanted calls do for the files in a directory, whose path is rel, that a filter keeps, and
// closes the directories among them afterwards.
func (s *Search) EachWanted(
	n *union.Node, rel string, keep Filter, do func(child *union.Node, rel string) error,
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
		if child.IsDir() && !s.held[child] {
			child.Forget()
		}
	}
	return nil
}
