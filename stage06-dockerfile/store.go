// What lasts is on disk, in plain files that one can look at. Everything is written so that
// a kill at any instant loses nothing and leaves nothing half-named: under a temporary name
// first, then to the disk (fsync(2)), then under its own name (rename(2)). Locks are those
// of fcntl(2) on open files: they end with the last process that has the file open. The
// package state has both.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"stagebox/stage04-unionfs/state"
)

// Store is the directory that box keeps its state in.
type Store struct {
	Root string `help:"Where box keeps what lasts: containers and volumes. Usual is /var/lib/stagebox for root, ~/.local/share/stagebox for others." env:"BOX_ROOT" placeholder:"DIR" group:"Store:"`

	limits LayerLimits // of what is unpacked into it
}

// path is a path in the store.
func (s Store) path(names ...string) string {
	return filepath.Join(append([]string{s.dir()}, names...)...)
}

func (s Store) dir() string {
	root := s.Root
	if root == "" && os.Geteuid() == 0 {
		root = "/var/lib/stagebox"
	}
	if root == "" {
		data := os.Getenv("XDG_DATA_HOME")
		if data == "" {
			data = filepath.Join(os.Getenv("HOME"), ".local/share")
		}
		root = filepath.Join(data, "stagebox")
	}
	if abs, err := filepath.Abs(root); err == nil {
		return abs
	}
	return root
}

// open makes the directories of the store that are missing, and finishes what boxes that
// were killed had begun. They are for their owner alone: in a container's files may be setuid
// programs (CVE-2021-41091).
func (s Store) open() (err error) {
	for _, dir := range []string{"containers", "running", "volumes"} {
		err = errors.Join(err, os.MkdirAll(s.path(dir), 0o700))
	}
	if err = errors.Join(err, s.makeMountPoints()); err != nil {
		return fmt.Errorf("the store: %w; another place for it is given by --root DIR or BOX_ROOT", err)
	}
	return s.sweep()
}

// makeMountPoints makes the layer that lies below all others: what every container has
// something mounted on. A root that lacks one of these is not changed for it.
func (s Store) makeMountPoints() (err error) {
	if _, err := os.Lstat(s.path("mountpoints/sys")); err == nil {
		return nil // it is made last
	}
	etc := s.path("mountpoints/etc")
	err = errors.Join(os.MkdirAll(etc, 0o755), os.Chmod(s.path("mountpoints"), 0o755), os.Chmod(etc, 0o755)) // whatever the umask
	for _, name := range []string{"hostname", "hosts", "resolv.conf"} {
		file, errFile := os.OpenFile(filepath.Join(etc, name), os.O_RDONLY|os.O_CREATE, 0o644)
		err = errors.Join(err, errFile, file.Close())
	}
	for _, dir := range []string{"dev", "proc", "sys"} {
		err = errors.Join(err, os.MkdirAll(s.path("mountpoints", dir), 0o755))
	}
	return err
}

// begun notes a path that will be half made, or half removed, for a while: if box is killed
// before it says done, the next box removes what is there. The file cgroup.freeze stands for
// processes that are stopped, and shall go on.
func (s Store) begun(path string) (done func() error, err error) {
	held, err := lockNew(s.path("running", unfinished+newID()))
	if err != nil {
		return nil, err
	}
	if _, err := held.WriteString(path); errors.Join(err, held.Sync()) != nil {
		return nil, errors.Join(err, os.Remove(held.Name()), held.Close())
	}
	return func() error { return errors.Join(os.Remove(held.Name()), held.Close()) }, nil
}

// lockNew makes a file that has a name of its own and locks it. sweep may have it for a moment.
func lockNew(path string) (*os.File, error) {
	return state.LockSoon(context.Background(), path, func() bool { return true })
}

// unfinished begins the names of begun's notes among those of containers.
const unfinished = "unfinished-"

// sweep finishes what boxes that were killed had begun. Whoever is in running/ without a
// lock on it is dead; the kernel has ended its container with it. What cannot be mended
// hinders nobody who wants something else.
func (s Store) sweep() error {
	entries, err := os.ReadDir(s.path("running"))
	for _, entry := range entries {
		held, err := state.TryLock(s.path("running", entry.Name()), state.Exclusive)
		if err == state.ErrBusy {
			continue
		}
		if err == nil && strings.HasPrefix(entry.Name(), unfinished) {
			err = removeUnfinished(held)
		} else if err == nil {
			err = s.repair(entry.Name(), held)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "box: what a box that was killed has left: %v\n", err)
		}
	}
	return err
}

// removeUnfinished removes what a note is about, and the note.
func removeUnfinished(held *os.File) error {
	path, err := io.ReadAll(held)
	if err == nil && filepath.Base(string(path)) == "cgroup.freeze" {
		if err = os.WriteFile(string(path), []byte("0"), 0); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	} else if err == nil && len(path) > 0 {
		err = removeTree(string(path))
	}
	if err == nil {
		err = os.Remove(held.Name())
	}
	return errors.Join(err, held.Close())
}

// about says which operation on which file has failed.
func about(operation, path string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %q: %w", operation, path, err)
	}
	return nil
}
