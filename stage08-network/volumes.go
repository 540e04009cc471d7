// A volume is a directory of the store that is bound into containers: what lasts longer
// than any of them. One with a name is asked for by it; one without gets a random name, and
// goes with its container if that is removed so. A new volume begins with what the image
// has at its place, as in Docker.
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
)

// nameVolumes gives the volumes that were asked for without a name a random one, so that
// the container has the same ones when it is started again.
func (c *Container) nameVolumes(r *Record) error {
	random := func() string {
		r.Volumes = append(r.Volumes, newID())
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

// volumes are the names of the volumes that a container has.
func (c *Container) volumes() ([]string, error) {
	binds, err := c.binds()
	var names []string
	for _, b := range binds {
		if b.isVolume {
			names = append(names, b.source)
		}
	}
	return names, err
}

// openVolumes replaces the names of volumes by their directories, and makes those that are
// missing.
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
	build, err := os.MkdirTemp(c.Store.path("volumes"), "."+c.record.ID+"-*")
	if err != nil {
		return err
	}
	err = os.Chmod(build, 0o711)
	if err == nil {
		err = os.Mkdir(filepath.Join(build, "_data"), 0o755)
	}
	if err == nil {
		err = c.fillVolume(filepath.Join(build, "_data"), b.target)
	}
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, build, unix.AT_FDCWD, dir, unix.RENAME_NOREPLACE)
	}
	if err == nil {
		return syncDir(c.Store.path("volumes"))
	}
	if err == unix.EEXIST {
		err = nil
	}
	return errors.Join(err, removeTree(build))
}

func (c *Container) fillVolume(data, target string) error {
	u, err := c.record.overlay().union()
	if err != nil {
		return err
	}
	defer u.close()
	n, err := u.find(target, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if n.dirs == nil {
		return fmt.Errorf("%s is a file in the container, and a volume is a directory", target)
	}
	root, err := unix.Open(data, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", data, err)
	}
	defer unix.Close(root)
	to := newCopier(root)
	if err := to.node(n, "."); err != nil {
		return err
	}
	return to.attributes(n.dirs[0], ".")
}

// removeVolumes removes volumes that no other container has.
func (s Store) removeVolumes(names []string, except string) error {
	return each(names, func(name string) error { return s.removeVolume(name, except) })
}

// removeVolume takes the name away first: from then on no container can get it.
func (s Store) removeVolume(name, except string) error {
	users, err := s.usersOf(name, except)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return fmt.Errorf("the volume %s belongs to container %s: box rm removes that", name, strings.Join(users, ", "))
	}
	gone := s.path("volumes", ".gone-"+name)
	if err := os.Rename(s.path("volumes", name), gone); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no volume %q: box volume ls lists them", name)
	} else if err != nil {
		return err
	}
	return removeTree(gone)
}

// usersOf are the containers that have a volume.
func (s Store) usersOf(volume, except string) ([]string, error) {
	all, err := s.all()
	var users []string
	for _, r := range all {
		names, err := r.Run.volumes()
		if err != nil {
			return nil, err
		}
		if r.ID != except && slices.Contains(names, volume) {
			users = append(users, r.Name)
		}
	}
	return users, err
}

type volumeCmd struct {
	Ls volumeLsCmd `cmd:"" help:"List the volumes."`
	Rm volumeRmCmd `cmd:"" help:"Remove volumes that no container has."`
}

type volumeLsCmd struct{ Store }

// Run is `box volume ls`.
func (c *volumeLsCmd) Run() error {
	if err := c.Store.open(); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.Store.path("volumes"))
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			fmt.Println(entry.Name())
		}
	}
	return err
}

type volumeRmCmd struct {
	Names []string `arg:"" name:"volume" help:"Their names."`

	Store
}

// Run is `box volume rm`.
func (c *volumeRmCmd) Run() error {
	return each(c.Names, func(name string) error {
		if !goodName.MatchString(name) {
			return fmt.Errorf("%q is no name of a volume: box volume ls lists them", name)
		}
		if err := c.Store.removeVolume(name, ""); err != nil {
			return err
		}
		_, err := fmt.Println(name)
		return err
	})
}
