package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Notes is a directory of notes (see Note) about what is being made or removed elsewhere.
type Notes struct {
	Dir        string
	NewID      func() string          // names a note
	RemoveTree func(dir string) error // also one with files of other users

	Undo map[string]func(path string) error // what Clear does about a file of a name, instead of removing what was half made
}

// Note notes a path that is being made or removed.
func (n Notes) Note(path string) (temporary string, done func() error, err error) {
	return Note(n.Dir, n.NewID(), path)
}

// Make makes a file or directory that is not there yet: all of it, or nothing. fill makes it under a
// temporary name. One that is there already is unix.EEXIST.
func (n Notes) Make(path string, fill func(build string) error) error {
	build, done, err := n.Note(path)
	if err != nil {
		return err
	}
	if err = fill(build); err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, build, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("make %s: %w", path, err), n.RemoveTree(build), done())
	}
	return errors.Join(SyncDir(filepath.Dir(path)), done())
}

// Clear undoes what a killed process has left: held is its note, which is locked now.
func (n Notes) Clear(held *os.File) error {
	path, build, err := ReadNote(held)
	undo := n.Undo[filepath.Base(path)]
	switch {
	case path == "": // it never did anything
	case undo != nil:
		err = undo(path)
	default:
		err = n.RemoveTree(build)
	}
	if err == nil {
		err = os.Remove(held.Name())
	}
	return errors.Join(err, held.Close())
}
