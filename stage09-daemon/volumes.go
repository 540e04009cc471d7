// A volume is a directory of the store that is bound into containers, and outlives them. A named
// volume can be shared by several containers; one without a name gets a random name, and is removed
// with its container by --rm and rm -v. A new volume begins with what the layers hold at its place,
// as in Docker.

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage04-unionfs/volume"
)

// nameVolumes gives volumes without a name a random one, so that the container has the same ones
// when it is started again.
func (c *Container) nameVolumes(r *Record) error {
	given := volume.Specs{Volume: c.Volume, Mount: c.Mount}
	r.Volumes = given.NameAll(mountTypes, ids.New)
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
			binds[i].Layers = layers
			if binds[i].IsDir, err = union.IsDir(layers, b.Subpath); err != nil {
				return fmt.Errorf("%s: %w", b.Text, err)
			}
		}
		if b.Type != "volume" {
			continue
		}
		if !c.DryRun {
			if err := c.prepareVolume(b); err != nil {
				return volume.About(b.Source, err)
			}
		}
		binds[i].Source, binds[i].IsDir = c.Store.path("volumes", b.Source, "_data"), true
		if b.Subpath != "" && !c.DryRun {
			isDir, err := files.IsDirIn(binds[i].Source, b.Subpath)
			if err != nil {
				return fmt.Errorf("%s: %w; make it in the volume first", b.Text, err)
			}
			binds[i].IsDir = isDir
		}
	}
	return nil
}

// volumeDir is where the volumes are.
func (s Store) volumeDir() volume.Dir {
	return volume.Dir{Path: s.path("volumes"), Notes: s.notes()}
}

// prepareVolume makes a volume with what the layers hold at its place. One that is there and
// empty gets that when the container starts for the first time, as in Docker.
func (c *Container) prepareVolume(b bind) error {
	fill := func(data string) error { return c.fillVolume(data, b.Target) }
	if b.NoCopy || b.Subpath != "" {
		fill = nil
	}
	return c.Store.volumeDir().Prepare(b.Source, b.Labels, fill, c.record.State.StartedAt.IsZero())
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
		return volume.AtFile(target)
	}
	return n.Copy(data)
}

// removeVolumes removes the container's volumes that have no name, unless another has them.
func (r *Record) removeVolumes() error {
	for _, name := range r.Volumes {
		err := r.store.removeVolume(name, r.ID)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, volume.ErrInUse) &&
			!errors.As(err, new(damaged)) {
			return err
		}
	}
	return nil
}

// volumes are the names of all volumes of a container.
func (r *Record) volumes() (names []string) {
	for _, b := range r.Run.requestedMounts() {
		if b.Type == "volume" {
			names = append(names, b.Source)
		}
	}
	return names
}

// removeVolume removes a volume that no container has, or only one.
func (s Store) removeVolume(name, except string) error {
	return s.volumeDir().Remove(name, func() error { return s.checkUnused(name, except) })
}

// checkUnused refuses a volume that a container has.
func (s Store) checkUnused(name, except string) error {
	all, unknown, err := s.records()
	if err != nil {
		return err
	}
	if len(unknown) > 0 { // what volumes these have is not known
		return fmt.Errorf("the volume %s may be one of this container: %w",
			name, errors.Join(unknown...))
	}
	var users []string
	for _, r := range all {
		if r.ID != except && slices.Contains(r.volumes(), name) {
			users = append(users, r.Name)
		}
	}
	if len(users) > 0 {
		return fmt.Errorf("the volume %s: %w %s; box rm removes that",
			name, volume.ErrInUse, strings.Join(users, ", "))
	}
	return nil
}
