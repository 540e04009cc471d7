// Making an image of a container's changes (commit), and taking images out of the index (rmi, image
// prune); layout.go:Store.collect removes their blobs afterwards. Finding and reading images is in
// image.go.

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage05-images/registry"
)

// removeDamaged removes an image that cannot be read from the index, by one of its names or by the
// digest of its manifest.
func (s Store) removeDamaged(text string) (found bool, err error) {
	ref, errName := registry.ParseReference(text)
	id := "sha256:" + strings.TrimPrefix(text, "sha256:")
	err = s.setNames(func(list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		return slices.DeleteFunc(list, func(d ocispec.Descriptor) bool {
			named := errName == nil && nameOf(d) == ref.String() || d.Digest.String() == id
			if !named {
				return false
			}
			_, err := s.readImage(d)
			found = found || err != nil
			return err != nil
		}), nil
	})
	return found, err
}

// unusedImage returns an error if a container was made of an image.
func (s Store) unusedImage(image *Image) error {
	containers, err := s.all()
	for _, r := range containers {
		isMounted := func(m mountspec.Spec) bool {
			if m.Type != "image" {
				return false
			}
			mounted, err := s.image(m.Source)
			return err == nil && mounted.ID == image.ID
		}
		if r.ImageID == image.ID || slices.ContainsFunc(r.Run.requestedMounts(), isMounted) {
			return fmt.Errorf("the image %s is in container %s: box rm %s, "+
				"or box rmi -f, which leaves the container what it needs",
				short(image.ID), r.Name, r.Name)
		}
	}
	return err
}

// untag removes names of an image, and with the last one the image. On a full disk, the index can
// only be written once the image has made room.
func (s Store) untag(image *Image, names []string) error {
	err := s.removeNames(image, names)
	if errors.Is(err, unix.ENOSPC) && len(names) == len(image.Names) {
		if err = s.collect(image.Manifest.Digest); err == nil {
			err = s.removeNames(image, names)
		}
	}
	return err
}

func (s Store) removeNames(image *Image, names []string) error {
	return s.setNames(func(list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		return slices.DeleteFunc(list, func(d ocispec.Descriptor) bool {
			return d.Digest == image.Manifest.Digest &&
				(slices.Contains(names, nameOf(d)) || nameOf(d) == "")
		}), nil
	})
}

// commit makes an image of the changes that a container has made.
func (s Store) commit(r *Record, name string, c *commitCmd) (*Image, error) {
	config, blobs, err := s.baseOf(r)
	if err != nil {
		return nil, err
	}
	if err := applyChanges(&config, c.Change); err != nil {
		return nil, err
	}
	var layer ocispec.Descriptor
	err = r.whileFrozen(func() (err error) {
		layer, err = s.keepUpper(r.path("upper"), r.Run.topFirst()...)
		return err
	})
	if err != nil {
		return nil, err
	}
	step := made(strings.Join(r.Run.Command.argv(), " "), c.Message, false)
	config.Author, config.History = c.Author, append(config.History, step)
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest)
	return s.putImage(config, append(blobs, layer), name)
}

// baseOf returns the configuration and layers to add to: those of the container's image, or for a
// container of plain directories new ones, with these directories as layers.
func (s Store) baseOf(r *Record) (ImageConfig, []ocispec.Descriptor, error) {
	config := newConfig()
	if r.ImageID != "" {
		image, err := s.image(r.ImageID.String())
		if err != nil {
			return config, nil, err
		}
		now := time.Now().UTC()
		image.Config.Created = &now
		return image.Config, image.Blobs, nil
	}
	var blobs []ocispec.Descriptor
	for _, dir := range append([]string{r.Run.Rootfs}, r.Run.Layer...) {
		layer, err := s.keepUpper(dir)
		if err != nil {
			return config, nil, err
		}
		blobs = append(blobs, layer)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest)
		step := made("the directory "+filepath.Base(dir), "", false)
		config.History = append(config.History, step)
	}
	config.Config.Env = []string{"PATH=" + defaultPath}
	config.Config.Cmd = r.Run.Command.argv()
	return config, blobs, nil
}

// descendsFrom reports whether a container was made of an image, or of one that was built on it.
func (r *Record) descendsFrom(name string) bool {
	image, err := r.store.image(name)
	if err != nil {
		return false
	}
	below, err := r.store.dirs(image)
	own := append([]string{r.Run.Rootfs}, r.Run.Layer...)
	return r.ImageID == image.ID || err == nil && len(below) > 0 && len(below) <= len(own) &&
		slices.Equal(own[:len(below)], below)
}
