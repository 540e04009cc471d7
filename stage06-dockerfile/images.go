// The commands about images that are here: images, tag, rmi, history, commit.
package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"stagebox/stage05-images/registry"
)

// created is when an image was made; long ago if it does not say.
func (i *Image) created() time.Time {
	if i.Config.Created == nil {
		return time.Unix(0, 0)
	}
	return *i.Config.Created
}

// sizeOf is the bytes of an image's files.
func (s Store) sizeOf(image *Image) (size int64) {
	for _, diffID := range image.Config.RootFS.DiffIDs {
		size += s.layerSize(diffID)
	}
	return size
}

// removeDamaged takes an image that cannot be read out of the index: by a name of it, or by
// the digest of its manifest.
func (s Store) removeDamaged(text string) (found bool, err error) {
	ref, errName := registry.ParseReference(text)
	err = s.setNames(func(list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		return slices.DeleteFunc(list, func(d ocispec.Descriptor) bool {
			named := errName == nil && nameOf(d) == ref.String() || d.Digest.String() == "sha256:"+strings.TrimPrefix(text, "sha256:")
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

// unusedImage refuses to take away an image that a container was made of.
func (s Store) unusedImage(image *Image) error {
	containers, err := s.all()
	for _, r := range containers {
		if r.ImageID == image.ID {
			return fmt.Errorf("the image %s is what container %s was made of: box rm %s, or box rmi -f, which leaves the container what it needs", short(image.ID), r.Name, r.Name)
		}
	}
	return err
}

// untag takes names away from an image, and the image out of the index with its last one.
func (s Store) untag(image *Image, names []string) error {
	err := s.setNames(func(list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		return slices.DeleteFunc(list, func(d ocispec.Descriptor) bool {
			return d.Digest == image.Manifest.Digest && (slices.Contains(names, nameOf(d)) || nameOf(d) == "")
		}), nil
	})
	for _, name := range names {
		if ref, errName := registry.ParseReference(name); err == nil && errName == nil {
			fmt.Println("Untagged: " + ref.Familiar())
		}
	}
	return err
}

// commitImage makes an image of what a container has changed.
func (c *commitCmd) commitImage(r *Record) error {
	done, err := c.Store.using()
	if err != nil {
		return err
	}
	defer done()
	ref, err := newName(c.Dir)
	if err != nil {
		return err
	}
	config, blobs, err := c.Store.baseOf(r)
	if err != nil {
		return err
	}
	if err := applyChanges(&config, c.Change); err != nil {
		return err
	}
	var layer ocispec.Descriptor
	err = r.whileFrozen(func() (err error) {
		layer, err = c.Store.keepUpper(r.path("upper"), r.Run.topFirst()...)
		return err
	})
	if err != nil {
		return err
	}
	config.RootFS.DiffIDs, blobs = append(config.RootFS.DiffIDs, layer.Digest), append(blobs, layer)
	config.Author, config.History = c.Author, append(config.History, made(strings.Join(r.Run.Command.argv(), " "), c.Message, false))
	image, err := c.Store.putImage(config, blobs, ref.String())
	if err == nil {
		_, err = fmt.Println(image.ID)
	}
	return err
}

// baseOf is the configuration to go on from: that of the container's image, or for a
// container of plain directories a new one, with these directories as its layers.
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
		config.RootFS.DiffIDs, blobs = append(config.RootFS.DiffIDs, layer.Digest), append(blobs, layer)
		config.History = append(config.History, made("the directory "+filepath.Base(dir), "", false))
	}
	config.Config.Env, config.Config.Cmd = []string{"PATH=" + defaultPath}, r.Run.Command.argv()
	return config, blobs, nil
}
