// What the store takes of the disk, and how to make it less: box system df, box builder prune.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

type builderCmd struct {
	Prune pruneCmd `cmd:"" help:"Forget steps of builds, and remove their layers."`
}

type pruneCmd struct {
	All         bool   `short:"a" help:"Also steps whose layers an image has."`
	KeepStorage size   `help:"Keep the steps used last, up to this size." placeholder:"BYTES"`
	Filter      string `help:"until=DURATION: only what was not used for so long, such as until=24h." placeholder:"FILTER"`

	Store
}

// remembered is a step of the cache.
type remembered struct {
	entry
	path string
	used time.Time
}

// Run is `box builder prune`.
func (c *pruneCmd) Run() error {
	if err := c.Store.openImages(); err != nil {
		return err
	}
	var age time.Duration
	if text, is := strings.CutPrefix(c.Filter, "until="); is {
		var err error
		if age, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("--filter %s: %w", c.Filter, err)
		}
	} else if c.Filter != "" {
		return fmt.Errorf("--filter %s: there is until=DURATION", c.Filter)
	}
	freed, err := c.Store.prune(c.All, int64(c.KeepStorage), age)
	if err == nil {
		_, err = fmt.Println("Total reclaimed space: " + human(freed))
	}
	return err
}

// prune forgets steps; their layers go when nothing else needs them.
func (s Store) prune(all bool, keep int64, age time.Duration) (freed int64, err error) {
	steps, err := s.remembered()
	if err != nil {
		return 0, err
	}
	images, err := s.images()
	if err != nil {
		return 0, err
	}
	inImages := map[string]bool{}
	for _, image := range images {
		for _, diffID := range image.Config.RootFS.DiffIDs {
			inImages[diffID.Encoded()] = true
		}
	}
	kept := int64(0)
	for _, step := range steps { // the one used last comes first
		inImage := step.Layer != nil && inImages[step.Layer.Digest.Encoded()]
		if kept+step.Bytes <= keep || time.Since(step.used) < age || inImage && !all || step.Layer == nil && !all && age == 0 && keep > 0 {
			kept += step.Bytes
			continue
		}
		if err := os.Remove(step.path); err != nil {
			return freed, err
		}
		if !inImage {
			freed += step.Bytes
		}
	}
	if all {
		err = errors.Join(os.RemoveAll(s.path("cache", "slots")), os.RemoveAll(s.path("cache", "files")), removeTree(s.path("cache", "mounts")), os.RemoveAll(s.path("cache", "urls")))
	}
	return freed, errors.Join(err, s.collect())
}

// remembered are the steps of the cache, the one used last first. What cannot be read is left out.
func (s Store) remembered() ([]remembered, error) {
	entries, err := os.ReadDir(s.path("cache", "steps"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []remembered
	for _, file := range entries {
		path := s.path("cache", "steps", file.Name())
		r := remembered{path: path}
		info, errInfo := file.Info()
		if errInfo != nil || readJSON(path, &r.entry) != nil {
			continue
		}
		r.used = info.ModTime()
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b remembered) int { return cmp.Or(b.used.Compare(a.used), strings.Compare(a.path, b.path)) })
	return list, err
}

type systemCmd struct {
	Df dfCmd `cmd:"" help:"Show what the store takes of the disk."`
}

type dfCmd struct{ Store }

// Run is `box system df`.
func (c *dfCmd) Run() error {
	images, err := c.Store.images()
	if err != nil {
		return err
	}
	containers, err := c.Store.all()
	if err != nil {
		return err
	}
	steps, err := c.Store.remembered()
	if err != nil {
		return err
	}
	volumes, err := filepath.Glob(c.Store.path("volumes", "[a-zA-Z0-9]*"))
	if err != nil {
		return err
	}
	layers, running := map[string]int64{}, 0
	for _, image := range images {
		for _, diffID := range image.Config.RootFS.DiffIDs {
			layers[diffID.Encoded()] = c.Store.layerSize(diffID)
		}
	}
	var inContainers, inVolumes, inCache int64
	for _, r := range containers {
		inContainers += sizeOfTree(r.path("upper"))
		if r.isRunning() {
			running++
		}
	}
	for _, dir := range volumes {
		inVolumes += sizeOfTree(dir)
	}
	for _, step := range steps {
		if step.Layer != nil && layers[step.Layer.Digest.Encoded()] == 0 {
			inCache += step.Bytes
		}
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "TYPE\tTOTAL\tACTIVE\tSIZE")
	fmt.Fprintf(table, "Images\t%d\t%d\t%s\n", len(images), active(images, containers), human(total(layers)))
	fmt.Fprintf(table, "Containers\t%d\t%d\t%s\n", len(containers), running, human(inContainers))
	fmt.Fprintf(table, "Local Volumes\t%d\t\t%s\n", len(volumes), human(inVolumes))
	fmt.Fprintf(table, "Build Cache\t%d\t\t%s\n", len(steps), human(inCache))
	return table.Flush()
}

// active counts the images that containers were made of.
func active(images []*Image, containers []*Record) (n int) {
	for _, image := range images {
		if slices.ContainsFunc(containers, func(r *Record) bool { return r.ImageID == image.ID }) {
			n++
		}
	}
	return n
}

func total(sizes map[string]int64) (sum int64) {
	for _, size := range sizes {
		sum += size
	}
	return sum
}

// sizeOfTree is the bytes of the files in a directory; what cannot be read does not count.
func sizeOfTree(dir string) (size int64) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	err = walkTree(fd, func(_ string, file int) error {
		var st unix.Stat_t
		if err := unix.Fstatat(file, "", &st, unix.AT_EMPTY_PATH); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			size += st.Size / int64(max(1, st.Nlink))
		}
		return nil
	})
	complain(err)
	return size
}
