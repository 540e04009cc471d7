// box volume makes, lists, shows and removes volumes: those with names, and those that a container
// was given without one.

package main

import (
	"fmt"
	"os"
	"slices"

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
	listing.VolumeInspectOptions

	Store Store `embed:""`
}

// Run is `box volume inspect`.
func (c *volumeInspectCmd) Run() error {
	return c.VolumeInspectOptions.Show(os.Stdout, c.Store.path("volumes"))
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
	listing.VolumeRemoveOptions

	Store Store `embed:""`
}

// Run is `box volume rm`.
func (c *volumeRmCmd) Run() error {
	return c.VolumeRemoveOptions.Remove(func(name string) error { return c.Store.removeVolume(name, "") })
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
