package stepstore

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
)

// Cache is the directory of a cache as a build uses it, and the steps that came with images.
type Cache struct {
	Dir  string
	Temp bool // it is for this build alone, which removes it

	Has  func(layer digest.Digest) bool // whether a layer is there
	Warn func(error)                    // of what does no harm

	imported map[string]*Entry
}

// OpenCache opens a cache. One that cannot be used is left alone: broken is called with the reason, and
// a new one is made in the directory temp.
func OpenCache(dir, temp string, broken func(error)) (*Cache, error) {
	c := &Cache{Dir: dir, imported: map[string]*Entry{}}
	err := Open(c.Dir)
	if err == nil {
		return c, nil
	}
	broken(err)
	if c.Dir, err = os.MkdirTemp(temp, "cache-*"); err != nil {
		return nil, err
	}
	c.Temp = true
	return c, Open(c.Dir)
}

// Path is a path in the cache.
func (c *Cache) Path(names ...string) string {
	return filepath.Join(append([]string{c.Dir}, names...)...)
}

func (c *Cache) step(key string) string { return c.Path("steps", key+".json") }

// Find finds an entry whose layer is there. Anything that is wrong with it is a miss.
func (c *Cache) Find(key string) (e *Entry, wrong string) {
	e, err := c.read(key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "it is no longer in the cache"
	case err != nil:
		return nil, "its entry in the cache is damaged"
	case e.Layer != nil && (e.Layer.Digest.Validate() != nil || !c.Has(e.Layer.Digest)):
		return nil, "its layer was removed"
	}
	if now := time.Now(); !c.IsImported(key, e) {
		if err := os.Chtimes(c.step(key), now, now); err != nil { // the last use, for prune
			c.Warn(err)
		}
	}
	return e, ""
}

// read reads the entry of a key, or else takes the one that came with an image.
func (c *Cache) read(key string) (*Entry, error) {
	e, err := Read(c.step(key))
	if imported := c.imported[key]; err != nil && imported != nil {
		return imported, nil
	}
	return e, err
}

// Write keeps an entry.
func (c *Cache) Write(key string, e *Entry) error { return Write(c.step(key), e) }

// Lock locks a step among all builds that use the cache. waits is called if another one has it.
func (c *Cache) Lock(ctx context.Context, key string, waits func()) (*os.File, error) {
	file, err := state.TryLockName(c.Path("lock"), "step "+key, state.Exclusive)
	if err != state.ErrBusy {
		return file, err
	}
	waits()
	file, err = state.LockName(ctx, c.Path("lock"), "step "+key, state.Exclusive)
	if err != nil && ctx.Err() != nil {
		err = errors.New("the build was interrupted")
	}
	return file, err
}

// Slot returns the path of the file about the step at a place of a Dockerfile.
func (c *Cache) Slot(place ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", place))
	return c.Path("slots", fmt.Sprintf("%x.json", sum)[32:])
}

// Annotation is the key of the manifest's annotation that says which step made which layer.
const Annotation = "stagebox.cache.v1"

// Note returns the text of the annotation, JSON that ReadNote reads.
func Note(steps map[string]*Entry) (string, error) {
	data, err := json.Marshal(steps)
	return string(data), err
}

// Import adds the steps that the annotations of an image list.
func (c *Cache) Import(annotations map[string]string, layers []digest.Digest) error {
	note := annotations[Annotation]
	if note == "" {
		return errors.New("the image lists no steps: build it with --cache-to inline")
	}
	steps, err := ReadNote(note, layers)
	maps.Copy(c.imported, steps)
	return err
}

// IsImported reports whether an entry came with an image and is not in the directory.
func (c *Cache) IsImported(key string, e *Entry) bool { return e != nil && c.imported[key] == e }
