package state

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Unfinished is how the names of notes begin.
const Unfinished = "unfinished-"

// Note notes in a directory that a path is being made or removed, and returns the temporary name
// beside it that the work is done under. done removes the note. Until then its lock is held, so that
// a note without a lock is one of a process that was killed: ReadNote says what it left. id makes the
// note's name, and has 12 letters or more.
func Note(dir, id, path string) (temporary string, done func() error, err error) {
	held, err := LockNew(filepath.Join(dir, Unfinished+id))
	if err != nil {
		return "", nil, err
	}
	if _, err := held.WriteString(path); errors.Join(err, held.Sync()) != nil {
		return "", nil, errors.Join(err, os.Remove(held.Name()), held.Close())
	}
	done = func() error { return errors.Join(os.Remove(held.Name()), held.Close()) }
	return temporaryName(path, held.Name()), done, nil
}

// ReadNote returns the path that a note is about, and the temporary name beside it. The path is ""
// if the work was never begun.
func ReadNote(note *os.File) (path, temporary string, err error) {
	text, err := io.ReadAll(note)
	if path = string(text); err != nil || !filepath.IsAbs(path) {
		return "", "", err
	}
	return path, temporaryName(path, note.Name()), nil
}

// temporaryName is the name beside a path that belongs to a note. No other file can have it, so
// that a note, whatever it says, removes nothing else.
func temporaryName(path, note string) string {
	id := strings.TrimPrefix(filepath.Base(note), Unfinished)
	return filepath.Join(filepath.Dir(path), "."+id[:12])
}

// LockNew makes and locks a file with a new name. A process that sweeps its directory may hold it
// for a moment.
func LockNew(path string) (*os.File, error) {
	return LockSoon(context.Background(), path, func() bool { return true })
}
