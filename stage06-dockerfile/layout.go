// Images on disk. images/ is an OCI image layout, which other tools can read: the package oci reads
// and writes it. Beside it, layers/ holds each layer once, unpacked, under the digest of its
// uncompressed tar, for all images that have it. Store.collect removes the blobs and layers that no
// image and no container needs.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layerstore"
	"stagebox/stage05-images/oci"
)

// layout is the image layout of the store.
func (s Store) layout() oci.Layout {
	sync := func() error { return s.layers().Sync() }
	return oci.Layout{Dir: s.path("images"), Warn: complain, Sync: sync}
}

// openImages makes what is missing of the directories and files for images.
func (s Store) openImages() error {
	for _, dir := range []string{"images/blobs/sha256", "images/partial", "layers"} {
		if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
			return state.Unusable(err)
		}
	}
	if s.layout().IsMade() {
		return nil
	}
	if err := s.open(); err != nil {
		return err
	}
	return s.layout().Make()
}

// using keeps collect away while something is made that no name refers to yet. It ends when done is
// called. If no other box does the same, leftovers of boxes that were killed are removed first.
func (s Store) using() (done func() error, err error) {
	if err := s.openImages(); err != nil {
		return nil, err
	}
	err = state.DropUnsynced(s.path("layers"), s.path("images/use.lock"), s.layers().Drop)
	if err != nil {
		return nil, state.Unusable(err)
	}
	file, err := state.Lock(context.Background(), s.path("images/use.lock"), state.Shared)
	if err != nil {
		return nil, state.Unusable(err)
	}
	if state.Convert(file, state.Exclusive) == nil {
		err = errors.Join(s.layers().DropHalfMade(), state.Convert(file, state.Shared))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// collect removes blobs and layers that no image and no container needs any more. If another box is
// making something (using), the next call does it. Images in gone are removed from the index next.
func (s Store) collect(gone ...digest.Digest) error {
	alone, err := state.TryLock(s.path("images/use.lock"), state.Exclusive)
	if err == state.ErrBusy {
		return nil
	}
	if err != nil {
		return err
	}
	defer alone.Close()
	needed, err := s.needed(gone...)
	if err != nil {
		return err
	}
	for _, dir := range []string{"images/blobs/sha256", "images/partial", "layers"} {
		entries, err := os.ReadDir(s.path(dir))
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if stays(dir, entry.Name(), needed) {
				continue
			}
			if err := removeTree(s.path(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// stays reports whether collect leaves a name in a directory alone: one that is needed, or not
// box's.
func stays(dir, entry string, needed map[string]bool) bool {
	name, _, _ := strings.Cut(entry, ".") // a note beside a layer
	pending := state.IsPending(entry)     // one that is being written
	if dir != "images/partial" && (needed[name] || pending) {
		return true
	}
	return !ids.IsID(name) && !layerstore.IsHalfMade(entry) && !pending
}

// keep adds the digests of an image's blobs and layers.
func (s Store) keep(image *oci.Image, needed map[string]bool) {
	needed[image.Manifest.Digest.Encoded()], needed[image.ID.Encoded()] = true, true
	for _, layer := range image.Blobs {
		needed[layer.Digest.Encoded()] = true
	}
	for _, diffID := range image.Config.RootFS.DiffIDs {
		needed[diffID.Encoded()] = true
	}
	dirs, _ := s.layers().Stack(image) // what is missing needs not be kept
	for _, dir := range dirs {
		needed[filepath.Base(dir)] = true
	}
}

// needed returns the digests that images and containers refer to, in hexadecimal.
func (s Store) needed(gone ...digest.Digest) (map[string]bool, error) {
	index, err := s.layout().Index()
	if err != nil {
		return nil, err
	}
	needed := map[string]bool{}
	for _, d := range index {
		if slices.Contains(gone, d.Digest) {
			continue
		}
		image, err := s.layout().Image(d)
		if err != nil {
			return nil, fmt.Errorf("%w\n     no leftovers are removed "+
				"until box rmi %s has removed this image", err, d.Digest.Encoded())
		}
		s.keep(image, needed)
	}
	containers, unknown, err := s.records()
	for _, r := range containers {
		for _, dir := range r.Run.topFirst() {
			needed[filepath.Base(dir)] = true
		}
	}
	if len(unknown) > 0 { // what layers these have is not known
		err = fmt.Errorf("nothing is removed while a container is damaged: %w",
			errors.Join(unknown...))
	}
	return needed, err
}
