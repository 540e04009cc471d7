// box volume makes, lists, shows and removes volumes: those with names, and those that a container
// was given without one.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/filter"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/labels"
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
	Name   string   `arg:"" name:"new-volume" optional:"" help:"Name of the volume (default: a random one)."`
	Label  []string `help:"Set a label on the volume." placeholder:"KEY[=VALUE]" sep:"none"`
	Driver string   `short:"d" help:"Volume driver; only local is supported." default:"local" placeholder:"NAME"`

	Store Store `embed:""`
}

// Run is `box volume create`. Like Docker's, it does nothing to a volume that is there.
func (c *volumeCreateCmd) Run() error {
	if c.Driver != "local" {
		return fmt.Errorf("--driver %s: local is the only one", c.Driver)
	}
	list, err := labels.Read(nil, c.Label)
	if err != nil {
		return err
	}
	name := cmp.Or(c.Name, ids.New())
	if !ids.IsName(name) {
		return fmt.Errorf("volume create %q: a name is made of letters, digits and _ . -, and begins with a letter or digit", name)
	}
	if err := c.Store.open(); err != nil {
		return err
	}
	if err := c.Store.createVolume(name, labels.Map(list)); err != nil {
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
	return showObjects(c.Names, c.Format, func(name string) (any, error) {
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
	All    bool     `short:"a" help:"Remove named volumes too."`
	Force  bool     `short:"f" help:"Do not ask for confirmation."`
	Filter []string `help:"Remove only volumes that match: label." placeholder:"NAME=VALUE" sep:"none"`

	Store Store `embed:""`
}

// Run is `box volume prune`.
func (c *volumePruneCmd) Run() error {
	f, err := filter.Parse(c.Filter, "label")
	if err != nil {
		return err
	}
	kind := "anonymous local volumes"
	if c.All {
		kind = "all local volumes"
	}
	if !c.Force && !batch.Confirm("WARNING! This will remove "+kind+" not used by at least one container.") {
		return nil
	}
	all, err := c.Store.volumes()
	if err != nil {
		return err
	}
	var removed []string
	freed := int64(0)
	for _, v := range all {
		if len(v.Users) > 0 || !c.All && !ids.IsID(v.Name) || !f.Labels(v.Labels) {
			continue
		}
		size, _ := files.Size(v.Mountpoint)
		errRemove := c.Store.removeVolume(v.Name, "")
		if errors.Is(errRemove, errInUse) || errors.Is(errRemove, fs.ErrNotExist) { // meanwhile
			continue
		}
		if err = errors.Join(err, errRemove); errRemove == nil {
			removed, freed = append(removed, v.Name), freed+size
		}
	}
	if len(removed) > 0 {
		fmt.Println("Deleted Volumes:\n" + strings.Join(removed, "\n") + "\n")
	}
	fmt.Println("Total reclaimed space: " + units.FormatSize(freed))
	return err
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
	for _, from := range c.VolumesFrom {
		name, mode, _ := strings.Cut(from, ":")
		if mode != "" && mode != "ro" && mode != "rw" {
			return fmt.Errorf("--volumes-from %s: give the container and nothing, ro or rw", from)
		}
		other, err := c.Store.find(name)
		if err != nil {
			return fmt.Errorf("--volumes-from %s: %w", from, err)
		}
		own := volume.Specs{Volume: c.Volume, Mount: c.Mount, Tmpfs: c.Tmpfs}
		own.Take(mountTypes, volume.Specs{Volume: other.Run.Volume, Mount: other.Run.Mount}, mode == "ro")
		c.Volume, c.Mount = own.Volume, own.Mount
	}
	return nil
}
