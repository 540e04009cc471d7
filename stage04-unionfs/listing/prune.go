package listing

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/filter"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/volume"
)

// PruneOptions are the flags of volume prune.
type PruneOptions struct {
	All    bool     `short:"a" help:"Remove named volumes too."`
	Force  bool     `short:"f" help:"Do not ask for confirmation."`
	Filter []string `help:"Remove only volumes that match: label." placeholder:"NAME=VALUE" sep:"none"`
}

// Prune removes those of all volumes that no container has and the flags ask for, and prints their
// names and their size. remove may find that another process was faster, and removed a volume
// (fs.ErrNotExist) or gave it to a container (volume.ErrInUse).
func (o PruneOptions) Prune(all func() ([]Volume, error), remove func(name string) error) error {
	f, err := filter.Parse(o.Filter, "label")
	if err != nil {
		return err
	}
	kind := "anonymous local volumes"
	if o.All {
		kind = "all local volumes"
	}
	if !o.Force && !batch.Confirm("WARNING! This will remove "+kind+" not used by at least one container.") {
		return nil
	}
	list, err := all()
	if err != nil {
		return err
	}
	var removed []string
	freed := int64(0)
	for _, v := range list {
		if len(v.Users) > 0 || !o.All && !ids.IsID(v.Name) || !f.Labels(v.Labels) {
			continue
		}
		size, _ := files.Size(v.Mountpoint)
		errRemove := remove(v.Name)
		if errors.Is(errRemove, volume.ErrInUse) || errors.Is(errRemove, fs.ErrNotExist) {
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
