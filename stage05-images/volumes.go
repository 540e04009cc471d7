// A volume is a directory of the store that is bound into containers, and outlives them. A named
// volume can be shared by several containers; one without a name gets a random name, and is removed
// with its container by --rm and rm -v. A new volume begins with what the layers hold at its place,
// as in Docker.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/ids"
)

// nameVolumes gives volumes without a name a random one, so that the container has the same ones
// when it is started again.
func (c *Container) nameVolumes(r *Record) error {
	random := func() string {
		r.Volumes = append(r.Volumes, ids.New())
		return r.Volumes[len(r.Volumes)-1]
	}
	for i, spec := range c.Volume {
		if !strings.Contains(spec, ":") {
			c.Volume[i] = random() + ":" + spec
		}
	}
	for i, spec := range c.Mount {
		if b, err := parseMount(spec); err == nil && b.isVolume && b.source == "" {
			c.Mount[i] += ",src=" + random()
		}
	}
	_, err := c.binds()
	return err
}

// requestedMounts returns the mounts that the flags ask for, whether or not their sources exist.
func (f *Files) requestedMounts() (list []bind) {
	for _, kind := range []struct {
		specs []string
		parse func(string) (bind, error)
	}{{f.Volume, parseVolume}, {f.Mount, parseMount}, {f.Tmpfs, parseTmpfs}} {
		for _, spec := range kind.specs {
			if b, err := kind.parse(spec); err == nil {
				list = append(list, b)
			}
		}
	}
	return list
}

// openVolumes replaces the names of volumes by their directories, and makes missing ones.
func (c *Container) openVolumes(binds []bind) error {
	for i, b := range binds {
		if !b.isVolume {
			continue
		}
		if !c.DryRun {
			if err := c.makeVolume(b); err != nil {
				return fmt.Errorf("the volume %s: %w", b.source, err)
			}
		}
		binds[i].source, binds[i].isDir = c.Store.path("volumes", b.source, "_data"), true
	}
	return nil
}

// makeVolume makes a volume with what the layers hold at its place: all of it, or nothing.
// If two containers do it at once, the second finds it made.
func (c *Container) makeVolume(b bind) error {
	dir := c.Store.path("volumes", b.source)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	err := c.Store.make(dir, func(build string) error {
		data := filepath.Join(build, "_data")
		if err := os.MkdirAll(data, 0o755); err != nil {
			return err
		}
		return c.fillVolume(data, b.target)
	})
	if _, made := os.Stat(dir); errors.Is(err, unix.EEXIST) && made == nil {
		return nil
	}
	return err
}

// fillVolume copies what the layers hold at a path, with the attributes of the directory.
func (c *Container) fillVolume(data, target string) error {
	u, err := c.record.overlay().union()
	if err != nil {
		return err
	}
	defer u.Close()
	n, err := u.Find(target, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !n.IsDir() {
		return fmt.Errorf("%s is a file in the container, and a volume is a directory", target)
	}
	return n.Copy(data)
}

// removeVolumes removes the container's volumes that have no name, unless another has them.
func (r *Record) removeVolumes() error {
	for _, name := range r.Volumes {
		err := r.store.removeVolume(name, r.ID)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errInUse) {
			return err
		}
	}
	return nil
}

// errInUse means that a container has a volume.
var errInUse = errors.New("it belongs to container")

// removeVolume renames the volume first: from then on no container can get it.
func (s Store) removeVolume(name, except string) error {
	dir := s.path("volumes", name)
	if err := s.checkUnused(name, except); err != nil {
		return err
	}
	gone, done, err := s.noteUnfinished(dir)
	if err != nil {
		return err
	}
	if err := os.Rename(dir, gone); err != nil {
		return errors.Join(err, done())
	}
	if err := s.checkUnused(name, except); err != nil { // a container got it at the last moment
		back := unix.Renameat2(unix.AT_FDCWD, gone, unix.AT_FDCWD, dir, unix.RENAME_NOREPLACE)
		return errors.Join(err, back, done())
	}
	return errors.Join(removeTree(gone), done())
}

// checkUnused refuses a volume that a container has.
func (s Store) checkUnused(volume, except string) error {
	all, err := s.all()
	if err != nil {
		return err
	}
	var users []string
	for _, r := range all {
		has := func(b bind) bool { return b.isVolume && b.source == volume }
		if r.ID != except && slices.ContainsFunc(r.Run.requestedMounts(), has) {
			users = append(users, r.Name)
		}
	}
	if len(users) > 0 {
		return fmt.Errorf("the volume %s: %w %s; box rm removes that",
			volume, errInUse, strings.Join(users, ", "))
	}
	return nil
}
