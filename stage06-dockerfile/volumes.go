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

	"stagebox/stage03-rootfs/mountspec"
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
		if m, err := mountTypes.Mount(spec); err == nil && m.Type == "volume" && m.Source == "" {
			c.Mount[i] += ",src=" + random()
		}
	}
	_, err := c.binds()
	return err
}

// requestedMounts returns the mounts that the flags ask for, whether or not their sources exist.
func (f *Files) requestedMounts() []mountspec.Spec {
	list, _ := mountTypes.Parse(f.Volume, f.Mount, f.Tmpfs) // they were checked before
	return list
}

// openVolumes replaces the names of volumes by their directories, and makes missing ones.
func (c *Container) openVolumes(binds []bind) error {
	for i, b := range binds {
		if b.Type == "image" {
			layers, err := c.layersOf(b.Source)
			if err != nil {
				return fmt.Errorf("%s: %w", b.Text, err)
			}
			binds[i].layers = layers
		}
		if b.Type != "volume" {
			continue
		}
		if !c.DryRun {
			if err := c.makeVolume(b); err != nil {
				return fmt.Errorf("the volume %s: %w", b.Source, err)
			}
		}
		binds[i].Source, binds[i].isDir = c.Store.path("volumes", b.Source, "_data"), true
	}
	return nil
}

// makeVolume makes a volume with what the layers hold at its place: all of it, or nothing.
// If two containers do it at once, the second finds it made.
func (c *Container) makeVolume(b bind) error {
	dir := c.Store.path("volumes", b.Source)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	err := c.Store.make(dir, func(build string) error {
		data := filepath.Join(build, "_data")
		if err := os.MkdirAll(data, 0o755); err != nil {
			return err
		}
		if b.NoCopy {
			return nil
		}
		return c.fillVolume(data, b.Target)
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
		has := func(m mountspec.Spec) bool { return m.Type == "volume" && m.Source == volume }
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
