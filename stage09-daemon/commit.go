// Making an image of a container's changes (commit), and taking images out of the index (rmi, image
// prune); layout.go:Store.collect removes their blobs afterwards. Package oci finds images, reads
// them, and writes their configurations and manifests.

package main

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage05-images/imageview"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
)

// unusedImage returns an error if a container was made of an image.
func (s Store) unusedImage(image *oci.Image) error {
	containers, err := s.all()
	for _, r := range containers {
		isMounted := func(m mountspec.Spec) bool {
			if m.Type != "image" {
				return false
			}
			mounted, err := s.layout().Find(m.Source)
			return err == nil && mounted.ID == image.ID
		}
		if r.ImageID == image.ID || slices.ContainsFunc(r.Run.requestedMounts(), isMounted) {
			return fault.Conflict.Errorf("the image %s is in container %s: box rm %s, "+
				"or box rmi -f, which leaves the container what it needs",
				image.ID.Short(), r.Name, r.Name)
		}
	}
	return err
}

// untag removes names of an image, and with the last one the image. On a full disk, the index can
// only be written once the image has made room.
func (s Store) untag(image *oci.Image, names []string) error {
	err := s.layout().Untag(image.Manifest.Digest, names)
	if errors.Is(err, unix.ENOSPC) && len(names) == len(image.Names) {
		if err = s.collect(image.Manifest.Digest); err == nil {
			err = s.layout().Untag(image.Manifest.Digest, names)
		}
	}
	return err
}

// commit makes an image of the changes that a container has made.
func (s Store) commit(r *Record, name string, c *commitCmd) (*oci.Image, error) {
	config, blobs, err := s.baseOf(r)
	shown, errShown := r.describe()
	if err = cmp.Or(err, errShown); err != nil {
		return nil, err
	}
	imageview.Keep(&config.Config, shown.Config)
	if err := c.ChangeOptions.Apply(&config); err != nil {
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
	step := oci.Step(strings.Join(r.Run.Command.argv(), " "), c.Message, false)
	config.Author, config.History = c.Author, append(config.History, step)
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest)
	return s.layout().Write(config, append(blobs, layer), name, nil)
}

// baseOf returns the configuration and layers to add to: those of the container's image, or for a
// container of plain directories new ones, with these directories as layers.
func (s Store) baseOf(r *Record) (oci.Config, []ocispec.Descriptor, error) {
	config := oci.NewConfig()
	if r.ImageID != "" {
		image, err := s.layout().Find(r.ImageID.String())
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
		step := oci.Step("the directory "+filepath.Base(dir), "", false)
		config.History = append(config.History, step)
	}
	config.Config.Env = []string{"PATH=" + plan.DefaultPath}
	return config, blobs, nil
}
