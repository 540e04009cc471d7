// Package crosscopy copies files between two trees by the rules of docker cp. On the way they are a
// tar stream: Source.Archive writes one, Place.Unpack reads one.
//
// One of the trees may be a container that runs, and that changes a directory for a link at any
// moment. So a path is resolved by the kernel below the root of its tree (RESOLVE_IN_ROOT,
// openat2(2)), and from there on one name at a time, in a directory that is open, following no link.
// No lesson reads it.
package crosscopy

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/files"
)

// Tree is a root directory, by a descriptor. Paths in it begin with a slash.
type Tree struct {
	Root int
	Name string // before a path in an error: web:
}

// Source is what is to be copied.
type Source struct {
	fd    int
	name  string // "." for what a directory holds, "" for the root
	isDir bool
}

// Place is where it goes to.
type Place struct {
	dir  int
	name string // that it gets there; "" for its own
}

// Errors of docker cp, which call for another path.
var (
	errCopyDir   = errors.New("cannot copy a directory over a file")
	errNoDir     = fault.NotFound.New("no such directory; make it first, or leave the slash at the end out")
	errNotAFile  = errors.New("the destination must be a directory or a regular file")
	errNotDir    = errors.New("the destination must be a directory, for an archive to be unpacked in")
	errOverwrite = errors.New("a directory and a file cannot replace each other")
)

func (t Tree) about(name string, err error) error {
	if err != nil {
		return fmt.Errorf("cp %s%s: %w", t.Name, name, err)
	}
	return nil
}

// open opens a path as a process whose root is the tree would.
func (t Tree) open(name string, flags uint64) (fd int, st unix.Stat_t, err error) {
	how := unix.OpenHow{Flags: flags | unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	for err = unix.EAGAIN; err == unix.EAGAIN; { // something was renamed or mounted meanwhile
		fd, err = unix.Openat2(t.Root, name, &how)
	}
	if err != nil {
		return -1, st, err
	}
	if err = unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
	}
	return fd, st, err
}

func isDir(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// asksForDir reports whether a path names a directory by its end.
func asksForDir(name string) bool { return strings.HasSuffix(name, "/") || asksForContent(name) }

// asksForContent reports whether a path means what a directory holds.
func asksForContent(name string) bool {
	return strings.HasSuffix(name, "/.") || path.Clean(name) == "/"
}

// Source opens what is to be copied. A link is copied itself, unless follow says otherwise, or a
// slash after it.
func (t Tree) Source(name string, follow bool) (*Source, error) {
	flags := uint64(0)
	switch {
	case asksForDir(name):
		flags = unix.O_DIRECTORY
	case !follow:
		flags = unix.O_NOFOLLOW
	}
	fd, st, err := t.open(name, flags)
	if err != nil {
		return nil, t.about(name, err)
	}
	s := &Source{fd: fd, name: path.Base(path.Clean(name)), isDir: isDir(&st)}
	switch {
	case name == "/":
		s.name = "" // and names in the archive begin with a slash, as in Docker
	case asksForContent(name):
		s.name = "."
	}
	return s, nil
}

// Close closes the source.
func (s *Source) Close() error { return unix.Close(s.fd) }

// Close closes the directory.
func (p *Place) Close() error { return unix.Close(p.dir) }

// Place finds where a source goes to: into a directory, under its own name; onto a regular file;
// or to a name that is not there yet, in a directory that is. A nil source is an archive, which
// is unpacked into a directory.
func (t Tree) Place(name string, s *Source) (*Place, error) {
	p, err := t.place(name, s)
	return p, t.about(name, err)
}

func (t Tree) place(name string, s *Source) (*Place, error) {
	dir, st, err := t.open(name, 0)
	switch {
	case err == nil && isDir(&st):
		return &Place{dir: dir}, nil
	case err == nil:
		unix.Close(dir)
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return nil, errNotAFile
		}
	case !errors.Is(err, unix.ENOENT):
		return nil, err
	}
	missing := err != nil
	switch {
	case s == nil && missing:
		return nil, err
	case s == nil:
		return nil, errNotDir
	case !missing && s.isDir:
		return nil, errCopyDir
	case missing && !s.isDir && asksForDir(name):
		return nil, errNoDir
	}
	if name, err = t.target(strings.TrimSuffix(strings.TrimSuffix(name, "."), "/")); err != nil {
		return nil, err
	}
	end := strings.LastIndexByte(name, '/') + 1 // not path.Dir, which takes link/../file for file
	if dir, _, err = t.open(name[:end], unix.O_DIRECTORY); err != nil {
		return nil, err
	}
	return &Place{dir, name[end:]}, nil
}

// target follows the links that a path ends with, to a name that may be missing.
func (t Tree) target(name string) (string, error) {
	for range 40 { // as many as the kernel follows (path_resolution(7))
		fd, st, err := t.open(name, unix.O_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			return name, unix.Close(fd)
		}
		to, err := files.ReadLink(fd)
		unix.Close(fd)
		if err != nil {
			return "", err
		}
		if !path.IsAbs(to) { // the kernel resolves .. after a link
			to = name[:strings.LastIndexByte(name, '/')+1] + to
		}
		name = to
	}
	return "", unix.ELOOP
}
