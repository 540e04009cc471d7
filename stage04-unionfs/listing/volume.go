package listing

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/format"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/volume"
)

// VolumeInspectOptions are the arguments and flags of volume inspect.
type VolumeInspectOptions struct {
	Names  []string `arg:"" name:"volume" help:"Volumes, by name."`
	Format string   `short:"f" help:"Format as json, or with a Go template such as {{.Mountpoint}}." placeholder:"TEMPLATE"`
}

// Show prints the volumes that are named, of those in a directory.
func (o VolumeInspectOptions) Show(w io.Writer, dir string) error {
	return format.Named(w, o.Names, o.Format, func(name string) (any, error) {
		v, err := volume.Read(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			err = noVolume(name)
		}
		return v, err
	})
}

// VolumeRemoveOptions are the arguments and flags of volume rm.
type VolumeRemoveOptions struct {
	Names []string `arg:"" name:"volume" help:"Volumes, by name."`
	Force bool     `short:"f" help:"Succeed if there is no such volume."`
}

// Remove removes the volumes that are named, and prints the names of those it succeeded with. remove
// returns fs.ErrNotExist for one that is not there.
func (o VolumeRemoveOptions) Remove(remove func(name string) error) error {
	return batch.Print(o.Names, func(name string) error {
		if !ids.IsName(name) {
			return fmt.Errorf("%q is not the name of a volume: box volume ls lists them", name)
		}
		err := remove(name)
		if errors.Is(err, fs.ErrNotExist) && o.Force {
			return nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			return noVolume(name)
		}
		return err
	})
}

func noVolume(name string) error {
	return fault.NotFound.Errorf("no such volume: %q; box volume ls lists them", name)
}
