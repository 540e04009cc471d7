// The verbs system df and builder prune: how much of the disk the store takes, and removing steps
// of builds from it.

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage07-cache/stepstore"
)

type builderCmd struct {
	Prune pruneCmd `cmd:"" help:"Remove cached build steps that no image uses."`
}

type pruneCmd struct {
	All         bool       `short:"a" help:"Remove everything that builds left, not just the steps that no image uses: downloads, unused cache mounts, checksums."`
	KeepStorage units.Size `help:"Keep the most recently used steps, up to this size." placeholder:"BYTES"`
	Force       bool       `short:"f" help:"Do not ask for confirmation."`
	Filter      string     `help:"Remove only what was not used for this long: until=24h." placeholder:"FILTER"`

	Store Store `embed:""`
}

// Run is `box builder prune`.
func (c *pruneCmd) Run() error {
	if err := c.Store.openImages(); err != nil {
		return err
	}
	kind := "dangling build cache"
	if c.All {
		kind = "build cache"
	}
	if !c.Force && !batch.Confirm("WARNING! This will remove all "+kind+".") {
		return nil
	}
	p := stepstore.Pruning{All: c.All, Keep: int64(c.KeepStorage)}
	if err := p.Filter(c.Filter); err != nil {
		return err
	}
	freed, err := c.Store.prune(p)
	if err == nil {
		_, err = fmt.Println("Total reclaimed space: " + units.FormatSize(freed))
	}
	return err
}

// prune forgets steps, and returns the bytes of the layers that no image has. These are removed
// at once, or if a build is running by the next prune or rmi.
func (s Store) prune(p stepstore.Pruning) (freed int64, err error) {
	inImages, err := s.layout().Layers()
	if err != nil {
		return 0, err
	}
	if freed, err = p.Prune(s.path("cache"), inImages); err != nil {
		return freed, err
	}
	if p.All {
		more, err := s.pruneFiles(p.Age)
		if freed += more; err != nil {
			return freed, err
		}
	}
	return freed, s.collect()
}

// pruneFiles removes the files of the cache beside the steps that are old enough, unless a build
// may be using them.
func (s Store) pruneFiles(age time.Duration) (freed int64, err error) {
	alone, err := state.TryLock(s.path("images/use.lock"), state.Exclusive)
	if err == state.ErrBusy {
		return 0, errors.New("a build or a pull is running, so only steps were removed: prune again afterwards")
	}
	if err != nil {
		return 0, err
	}
	defer alone.Close()
	return stepstore.PruneFiles(s.path("cache"), age, sizeOf, removeTree)
}

// sizeOf returns the bytes of a file, or of those in a directory, as far as they can be read.
func sizeOf(path string) int64 {
	size, err := files.Size(path)
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		complain(err)
	}
	return size
}

// cachedSteps returns the steps of the cache, the one used last first.
func (s Store) cachedSteps() ([]stepstore.Kept, error) { return stepstore.List(s.path("cache")) }

type systemCmd struct {
	Df dfCmd `cmd:"" help:"Show disk usage of the store."`
}

type dfCmd struct {
	Store Store `embed:""`
}

// Run is `box system df`.
func (c *dfCmd) Run() error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "TYPE\tTOTAL\tACTIVE\tSIZE")
	for _, kind := range []struct {
		name  string
		usage func() (total int, active any, size int64, err error)
	}{
		{"Images", c.imageUsage}, {"Containers", c.containerUsage},
		{"Local Volumes", c.volumeUsage}, {"Build Cache", c.cacheUsage},
	} {
		total, active, size, err := kind.usage()
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%d\t%v\t%s\n", kind.name, total, active, units.FormatSize(size))
	}
	return table.Flush()
}

func (c *dfCmd) imageUsage() (total int, active any, size int64, err error) {
	images, errImages := c.Store.layout().Images()
	containers, errContainers := c.Store.all()
	inUse := 0
	for _, image := range images {
		if slices.ContainsFunc(containers, func(r *Record) bool { return r.ImageID == image.ID }) {
			inUse++
		}
	}
	layers, err := c.Store.layout().Layers()
	for diffID := range layers {
		size += c.Store.layers().Size(diffID)
	}
	return len(images), inUse, size, errors.Join(errImages, errContainers, err)
}

func (c *dfCmd) containerUsage() (total int, active any, size int64, err error) {
	containers, err := c.Store.all()
	running := 0
	for _, r := range containers {
		size += sizeOf(r.path("upper"))
		if r.isRunning() {
			running++
		}
	}
	return len(containers), running, size, err
}

func (c *dfCmd) volumeUsage() (total int, active any, size int64, err error) {
	volumes, err := filepath.Glob(c.Store.path("volumes", "[a-zA-Z0-9]*"))
	for _, dir := range volumes {
		size += sizeOf(dir)
	}
	return len(volumes), "", size, err
}

// cacheUsage counts the layers that no image has, each once.
func (c *dfCmd) cacheUsage() (total int, active any, size int64, err error) {
	inImages, err := c.Store.layout().Layers()
	if err != nil {
		return 0, nil, 0, err
	}
	steps, err := c.Store.cachedSteps()
	size = sizeOf(c.Store.path("cache", "mounts")) + sizeOf(c.Store.path("cache", "urls"))
	return len(steps), "", size + stepstore.Bytes(steps, inImages), err
}
