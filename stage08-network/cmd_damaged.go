// Damage to the store, by a failing disk or by another program: what is read is checked before
// it is used, an error names the file and the way out, and rm -f removes a container that cannot
// be read any more.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
)

// damaged is the error of a container whose record cannot be used. It is not that of a missing
// file: the container is there.
type damaged struct {
	id string
	error
}

// damage returns an error about a file of a container.
func damage(id string, err error) error {
	return damaged{id, fmt.Errorf("%w; restore it, or remove the container: box rm -f %s", err, id[:12])}
}

// checkRecord reports what is wrong with a record that was read from a container's directory.
func (s Store) checkRecord(id string, r *Record) error {
	dir := s.path("containers", id)
	if err := files.CheckDir(dir); err != nil {
		return err
	}
	c := r.Run
	if c == nil || r.ID != id || !ids.IsName(r.Name) || c.Rootfs == "" || len(c.Command) == 0 ||
		!slices.Contains([]string{"created", "running", "restarting", "exited"}, r.State.Status) {
		return fmt.Errorf("%s is not the record of this container", filepath.Join(dir, "container.json"))
	}
	return nil
}

// checkDirs checks the directories of a container that was made earlier. The kernel's own, work,
// and the mount point are made again if they are missing.
func (r *Record) checkDirs() error {
	for _, dir := range []string{r.path("work"), r.path("merged")} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for _, dir := range append(r.Run.topFirst(), r.path("upper"), r.path("work"), r.path("merged")) {
		if err := files.CheckDir(dir); err != nil {
			return damage(r.ID, err)
		}
	}
	return nil
}

// discard removes a container whose record is damaged. If it runs, the box that stays with it is
// killed, and the container ends with that: its record would say which process to kill.
func (s Store) discard(id string) error {
	r := &Record{ID: id, store: s}
	if err := cmp.Or(state.ClearLock(r.livePath()), state.KillHolders(r.livePath())); err != nil {
		return err
	}
	held, err := state.LockNew(r.livePath())
	if err != nil {
		return about("lock", r.livePath(), err)
	}
	r.lock = held
	if err := s.ids().DropAll(id); err != nil {
		return errors.Join(err, r.release())
	}
	return r.remove()
}

// named finds a container by the name in its record: its link is lost.
func (s Store) named(name string) (*Record, error) {
	all, _, err := s.records()
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Name == name {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", errNoContainer, s.ids().Missing(name))
}
