// box volume makes, lists, shows and removes volumes: those with names, and those that a container
// was given without one.

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/format"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/listing"
	"stagebox/stage04-unionfs/volume"
)

type volumeCmd struct {
	Ls      volumeLsCmd      `cmd:"" aliases:"list" help:"List volumes."`
	Rm      volumeRmCmd      `cmd:"" aliases:"remove" help:"Remove volumes that no container uses."`
	Create  volumeCreateCmd  `cmd:"" help:"Create a volume."`
	Inspect volumeInspectCmd `cmd:"" help:"Show details of volumes."`
	Prune   volumePruneCmd   `cmd:"" help:"Remove anonymous volumes that no container uses."`
}

// volumes returns all volumes, sorted by name.
func (s Store) volumes() ([]listing.Volume, error) {
	containers, err := s.all()
	if err != nil {
		return nil, err
	}
	all, err := volume.All(s.path("volumes"))
	var list []listing.Volume
	for _, described := range all {
		v := listing.Volume{Volume: described}
		for _, r := range containers {
			if slices.Contains(r.volumes(), v.Name) {
				v.Users = append(v.Users, r.Name)
			}
		}
		list = append(list, v)
	}
	return list, err
}

type volumeLsCmd struct {
	listing.VolumeOptions

	Store Store `embed:""`
}

// Run is `box volume ls`.
func (c *volumeLsCmd) Run() error { return c.VolumeOptions.Write(os.Stdout, c.Store.volumes) }

type volumeCreateCmd struct {
	volume.CreateOptions

	Store Store `embed:""`
}

// Run is `box volume create`. Like Docker's, it does nothing to a volume that is there.
func (c *volumeCreateCmd) Run() error {
	name, labels, err := c.CreateOptions.Resolve()
	if err != nil {
		return err
	}
	if err := c.Store.open(); err != nil {
		return err
	}
	if err := c.Store.volumeDir().Create(name, labels); err != nil {
		return err
	}
	_, err = fmt.Println(name)
	return err
}

type volumeInspectCmd struct {
	Names  []string `arg:"" name:"volume" help:"Volumes, by name."`
	Format string   `short:"f" help:"Format as json, or with a Go template such as {{.Mountpoint}}." placeholder:"TEMPLATE"`

	Store Store `embed:""`
}

// Run is `box volume inspect`.
func (c *volumeInspectCmd) Run() error {
	return format.Named(os.Stdout, c.Names, c.Format, func(name string) (any, error) {
		v, err := volume.Read(c.Store.path("volumes"), name)
		if errors.Is(err, fs.ErrNotExist) {
			err = noVolume(name)
		}
		return v, err
	})
}

func noVolume(name string) error {
	return fmt.Errorf("no such volume: %q; box volume ls lists them", name)
}

type volumePruneCmd struct {
	listing.PruneOptions

	Store Store `embed:""`
}

// Run is `box volume prune`.
func (c *volumePruneCmd) Run() error {
	remove := func(name string) error { return c.Store.removeVolume(name, "") }
	return c.PruneOptions.Prune(c.Store.volumes, remove)
}

type volumeRmCmd struct {
	Names []string `arg:"" name:"volume" help:"Volumes, by name."`
	Force bool     `short:"f" help:"Succeed if there is no such volume."`

	Store Store `embed:""`
}

// Run is `box volume rm`.
func (c *volumeRmCmd) Run() error {
	return batch.Print(c.Names, func(name string) error {
		if !ids.IsName(name) {
			return fmt.Errorf("%q is not the name of a volume: box volume ls lists them", name)
		}
		err := c.Store.removeVolume(name, "")
		if errors.Is(err, fs.ErrNotExist) && c.Force {
			return nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			return noVolume(name)
		}
		return err
	})
}

// takeVolumes adds the mounts of the containers that --volumes-from names.
func (c *Container) takeVolumes() error {
	own := volume.Specs{Volume: c.Volume, Mount: c.Mount, Tmpfs: c.Tmpfs}
	err := own.TakeFrom(mountTypes, c.VolumesFrom, func(name string) (other volume.Specs, err error) {
		r, err := c.Store.find(name)
		if err == nil {
			other.Volume, other.Mount = r.Run.Volume, r.Run.Mount
		}
		return other, err
	})
	c.Volume, c.Mount = own.Volume, own.Mount
	return err
}
