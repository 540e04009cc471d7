// Everything that box keeps is in plain files of the store. They are written so that a kill at any
// instant loses nothing and leaves no half-written file under its final name: under a temporary
// name first, then to the disk (fsync(2)), then under their own name (rename(2)). Locks are
// fcntl(2) locks of open file descriptions: they end with the last process that has the file open.
// The package state has both.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage04-unionfs/union"
)

// path returns a path in the store.
func (s Store) path(names ...string) string {
	return filepath.Join(append([]string{s.dir()}, names...)...)
}

// open makes the missing directories of the store, and cleans up after boxes that were killed.
// The directories are for their owner alone: a container's files may have setuid programs
// (CVE-2021-41091).
func (s Store) open() (err error) {
	for _, dir := range []string{"containers", "running", "volumes"} {
		err = cmp.Or(err, os.MkdirAll(s.path(dir), 0o700))
	}
	if err = cmp.Or(err, union.MakeMountPoints(s.path("mountpoints"))); err != nil {
		return state.Unusable(err)
	}
	return s.sweep()
}

// notes are about what is being made or removed, under a temporary name beside its own. If box is
// killed meanwhile, the next box removes what has that name. The file cgroup.freeze means processes
// that are stopped: the next box lets them go on.
func (s Store) notes() state.Notes {
	return state.Notes{Dir: s.path("running"), NewID: ids.New, RemoveTree: removeTree,
		Undo: map[string]func(string) error{"cgroup.freeze": cgroupfs.Thaw}}
}

// sweep cleans up after boxes that were killed. An unlocked file in running/ belongs to a box that
// died; the kernel has ended its container with it. An error here is only a warning: it must not
// keep the user from other containers.
func (s Store) sweep() error {
	entries, err := os.ReadDir(s.path("running"))
	for _, entry := range entries {
		if !ids.IsID(strings.TrimPrefix(entry.Name(), state.Unfinished)) {
			continue // not box's
		}
		held, err := state.TryLock(s.path("running", entry.Name()), state.Exclusive)
		if err == state.ErrBusy {
			continue
		}
		if err == nil && strings.HasPrefix(entry.Name(), state.Unfinished) {
			err = s.notes().Clear(held)
		} else if err == nil {
			err = s.repair(entry.Name(), held)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "box: clean up after a killed box: %v\n", err)
		}
	}
	return err
}

// about adds the operation and the file to an error.
func about(operation, path string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %q: %w", operation, path, err)
	}
	return nil
}

// repair brings a container that a killed box left to one of its regular states. It releases
// the lock in any case.
func (s Store) repair(id string, held *os.File) (err error) {
	defer func() {
		if err != nil {
			held.Close()
		}
	}()
	r, err := s.read(id)
	gone := errors.Is(err, fs.ErrNotExist)
	if gone {
		if r, err = s.read("." + id); err != nil {
			r = &Record{}
		}
	} else if err != nil { // damaged: it cannot be repaired
		return errors.Join(err, os.Remove(held.Name()))
	}
	r.ID, r.store, r.lock = id, s, held
	complain(s.networks().forget(id))
	waits := r.Kept && r.State.Status == "created" // for its start, also with --rm
	if gone || r.autoRemove() && !waits {
		return r.remove()
	}
	if r.State.isLive() {
		r.State.abandon()
		if err := r.write(); err != nil {
			return err
		}
	}
	return errors.Join(state.Sweep(r.path()), r.release())
}

// read reads a record. A container whose directory is there and whose record is not is damaged;
// one that is removed meanwhile is not.
func (s Store) read(id string) (*Record, error) {
	r, dir := &Record{}, s.path("containers", id)
	err := state.ReadJSON(filepath.Join(dir, "container.json"), r)
	if id, unfinished := strings.CutPrefix(id, "."); err == nil && !unfinished {
		err = s.checkRecord(id, r)
	}
	if err != nil {
		if _, gone := os.Lstat(dir); errors.Is(gone, fs.ErrNotExist) {
			return nil, gone
		}
		return nil, damage(id, err)
	}
	r.store, r.Run.Store, r.Run.record = s, s, r
	r.findLayers()
	return r, nil
}

// known reads a record. One that says "running", though its lock is free, is from before the
// machine went down.
func (s Store) known(id string) (*Record, error) {
	r, err := s.present(id)
	if err != nil || !r.State.isLive() || state.Held(r.livePath()) {
		return r, err
	}
	held, err := state.TryLock(r.livePath(), state.Exclusive)
	if err == nil {
		err = s.repair(id, held)
	}
	if err == state.ErrBusy {
		return r, nil
	}
	if err != nil { // the disk is full, perhaps
		r.State.abandon()
		return r, nil
	}
	return s.present(id) // if it was not to be removed
}

// present reads the record of a container that may be removed at the same time.
func (s Store) present(id string) (*Record, error) {
	r, err := s.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w any more: %s", errNoContainer, id)
	}
	return r, err
}

// all returns the containers. Those that are damaged are reported, and left out.
func (s Store) all() ([]*Record, error) {
	list, damaged, err := s.records()
	for _, err := range damaged {
		fmt.Fprintf(os.Stderr, "box: %v\n", err)
	}
	return list, err
}

// records returns the containers, and the errors of those that are damaged.
func (s Store) records() (list []*Record, damaged []error, err error) {
	if err := s.open(); err != nil {
		return nil, nil, err
	}
	all, err := s.ids().List()
	records, errs := make([]*Record, len(all)), make([]error, len(all))
	batch.Spread(len(all), func(i int) { records[i], errs[i] = s.known(all[i]) })
	for i, r := range records {
		switch {
		case errs[i] == nil:
			list = append(list, r)
		case !errors.Is(errs[i], errNoContainer): // else removed meanwhile
			damaged = append(damaged, errs[i])
		}
	}
	return list, damaged, err
}

// errNoContainer means that no container has a name.
var errNoContainer = fault.NotFound.New("no such container")

// find finds a container by its name, its id, or the beginning of its id.
func (s Store) find(text string) (*Record, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	text = strings.TrimPrefix(text, "/") // as Docker prints it
	id, err := s.ids().Find(text)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return s.named(text)
	}
	return s.known(id)
}

// ids finds the ids and names of the containers.
func (s Store) ids() ids.Dir {
	return ids.Dir{Path: s.path("containers"), Running: s.path("running")}
}

// take finds a container that does not run and locks it for a change.
func (s Store) take(text string) (*Record, error) {
	r, err := s.find(text)
	if err != nil {
		return nil, err
	}
	hope := func() bool { return !r.isLive() }
	held, err := state.LockSoon(context.Background(), r.livePath(), hope)
	if err == state.ErrBusy && r.State.Status == "restarting" {
		err = r.notRunning()
	} else if err == state.ErrBusy {
		err = fmt.Errorf("container %s is running, or %w: box stop %[1]s stops it", r.Name, err)
	}
	if err != nil {
		return nil, err
	}
	now, err := s.present(r.ID) // again, now that it is locked
	if err != nil {
		return nil, errors.Join(err, os.Remove(held.Name()), held.Close())
	}
	now.lock = held
	if err := state.Sweep(r.path()); err != nil {
		return nil, errors.Join(err, now.release())
	}
	return now, nil
}
