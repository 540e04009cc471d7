package stepstore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
)

// Kept is a step that is on the disk. If its file is damaged, its Entry is empty.
type Kept struct {
	*Entry
	Path string
	Used time.Time // last
}

// List returns the steps of a cache, the one used last first.
func List(dir string) ([]Kept, error) {
	files, err := os.ReadDir(filepath.Join(dir, "steps"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []Kept
	for _, file := range files {
		path := filepath.Join(dir, "steps", file.Name())
		info, err := file.Info()
		if err != nil || !strings.HasSuffix(path, ".json") {
			continue // being written
		}
		e, err := Read(path)
		if err != nil {
			e = &Entry{}
		}
		list = append(list, Kept{e, path, info.ModTime()})
	}
	slices.SortFunc(list, func(a, b Kept) int {
		return cmp.Or(b.Used.Compare(a.Used), strings.Compare(a.Path, b.Path))
	})
	return list, err
}

// Bytes adds up the layers of steps that no image has, each once.
func Bytes(steps []Kept, inImages map[digest.Digest]bool) (bytes int64) {
	counted := maps.Clone(inImages)
	for _, step := range steps {
		if step.Layer != nil && !counted[step.Layer.Digest] {
			counted[step.Layer.Digest] = true
			bytes += step.Bytes
		}
	}
	return bytes
}

// Pruning says which steps are removed.
type Pruning struct {
	All  bool          // also those of images
	Keep int64         // up to so many bytes of layers, of the steps used last
	Age  time.Duration // since the last use, at least
}

// Filter reads until=DURATION, or nothing.
func (p *Pruning) Filter(text string) (err error) {
	if text == "" {
		return nil
	}
	until, is := strings.CutPrefix(text, "until=")
	if !is {
		name, _, _ := strings.Cut(text, "=")
		return fmt.Errorf("--filter %s: invalid filter %q; available: until", text, name)
	}
	if p.Age, err = time.ParseDuration(until); err != nil {
		return fmt.Errorf("--filter %s: give the time since the last use, such as until=24h or until=90m", text)
	}
	return nil
}

// Prune removes from a cache what killed builds have left, and steps as Forget does.
func (p Pruning) Prune(cache string, inImages map[digest.Digest]bool) (freed int64, err error) {
	for _, dir := range []string{"steps", "slots", "files", "urls"} {
		if err := state.Sweep(filepath.Join(cache, dir)); err != nil {
			return 0, err
		}
	}
	steps, err := List(cache)
	if err != nil {
		return 0, err
	}
	return p.Forget(steps, inImages)
}

// Forget removes steps, and returns the bytes of the layers that no image has. A step without a
// layer belongs to the images that have the layer before it.
func (p Pruning) Forget(steps []Kept, inImages map[digest.Digest]bool) (freed int64, err error) {
	kept, counted := int64(0), map[digest.Digest]bool{}
	for _, step := range steps { // the one used last comes first
		inImage := inImages[step.On]
		switch {
		case inImage && !p.All, time.Since(step.Used) < p.Age:
			continue
		case p.Keep > 0 && kept+step.Bytes <= p.Keep && step.Version == Version:
			kept += step.Bytes
			continue
		}
		if err := os.Remove(step.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return freed, err
		}
		if step.Layer != nil && !inImage && !counted[step.Layer.Digest] {
			counted[step.Layer.Digest] = true
			freed += step.Bytes
		}
	}
	return freed, nil
}

// PruneFiles removes the other files of a cache that have not changed for this long: the last
// inputs of steps, digests of files, downloads and cache mounts. freed is the sum of what size
// returned for them. No build may be using the cache.
func PruneFiles(cache string, age time.Duration, size func(path string) int64, remove func(path string) error) (freed int64, err error) {
	for _, dir := range []string{"slots", "files", "urls", "mounts"} {
		entries, err := os.ReadDir(filepath.Join(cache, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return freed, err
		}
		for _, file := range entries {
			path := filepath.Join(cache, dir, file.Name())
			if info, err := file.Info(); err != nil || time.Since(info.ModTime()) < age {
				continue
			}
			freed += size(path)
			if err := remove(path); err != nil {
				return freed, err
			}
		}
	}
	return freed, nil
}
