// Images as files: save, load and import. The package archive knows the format; here, images go
// from the store into an archive and back. A layer is written to a file and unpacked at the same
// time, as it passes (archive.Staging). It is kept only after the image's configuration has
// confirmed its digest.

package main

import (
	"encoding/json"
	"fmt"
	"io"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage05-images/archive"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

// load keeps all images of an archive, and returns their names.
func (s Store) load(in io.Reader) ([]string, error) {
	done, err := s.using()
	if err != nil {
		return nil, err
	}
	defer done()
	l := newLoading(s)
	defer func() { complain(l.Drop()) }()
	a, err := archive.Read(in, l.Unpack)
	if err == nil {
		err = a.Images(oci.Here(), l.keep)
	}
	return l.names, err
}

// loading is an archive that is being loaded.
type loading struct {
	archive.Staging
	store Store
	names []string // of the images that were kept
}

func newLoading(s Store) *loading {
	layers := archive.Staging{
		Dir: s.path("images/partial"), Limit: s.limits.OrDefault().Check, Remove: s.layers().Drop,
	}
	return &loading{Staging: layers, store: s}
}

// keep brings an image of the archive into the store: its layers first, its names last.
func (l *loading) keep(image *archive.Image) error {
	if err := l.keepLayers(image); err != nil {
		return err
	}
	config, err := l.store.layout().Put(image.ConfigType, image.Config)
	if err != nil {
		return err
	}
	manifest, err := l.store.layout().Put(image.Manifest.MediaType, image.Data)
	if err != nil {
		return err
	}
	names := image.Names
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		if err := l.store.layout().Tag(manifest, name); err != nil {
			return err
		}
		l.names = append(l.names, registry.FamiliarOr(name, config.Digest.String()))
	}
	return nil
}

// keepLayers compares the layers with the configuration, and keeps them if all are right.
func (l *loading) keepLayers(image *archive.Image) error {
	var c oci.Config
	if err := json.Unmarshal(image.Config, &c); err != nil {
		return about("read", "the configuration", err)
	}
	if n := len(c.RootFS.DiffIDs); n != len(image.Layers) {
		return fmt.Errorf("its manifest has %d layers, and its configuration %d",
			len(image.Layers), n)
	}
	layers, err := l.Layers(image)
	if err != nil {
		return err
	}
	for i, staged := range layers {
		if err := layer.Compare(staged.DiffID, c.RootFS.DiffIDs[i]); err != nil {
			return err
		}
	}
	var kept oci.Image
	for _, staged := range layers {
		if err := staged.KeepIn(l.store.layers()); err != nil {
			return err
		}
		kept.Config.RootFS.DiffIDs = append(kept.Config.RootFS.DiffIDs, staged.DiffID)
	}
	_, err = l.store.layers().Stack(&kept) // makes the directories that layers lack
	return err
}

// importTar makes an image of one layer.
func (s Store) importTar(in io.Reader, name string, changes ChangeOptions) (*oci.Image, error) {
	config := oci.NewConfig()
	config.Config.Env = []string{"PATH=" + plan.DefaultPath}
	if err := changes.Apply(&config); err != nil {
		return nil, err
	}
	files, err := layer.OpenTar(in)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	l := newLoading(s)
	defer func() { complain(l.Drop()) }()
	staged, err := l.Add(files)
	if err == nil {
		err = staged.KeepIn(s.layers())
	}
	if err != nil {
		return nil, err
	}
	config.RootFS.DiffIDs = []digest.Digest{staged.DiffID}
	config.History = []ocispec.History{oci.Step("", "imported", false)}
	return s.layout().Write(config, []ocispec.Descriptor{staged.Blob}, name, nil)
}

// save writes images to an archive.
func (s Store) save(out io.Writer, names []string) error {
	w := archive.NewWriter(out)
	for _, text := range names {
		image, err := s.layout().Find(text)
		if err != nil {
			return err
		}
		blobs := []ocispec.Descriptor{image.Manifest, {Digest: image.ID}}
		for _, d := range append(blobs, image.Blobs...) {
			if err := w.Take(s.layers(), d.Digest); err != nil {
				return err
			}
		}
		ids := image.Config.RootFS.DiffIDs
		w.Image(image.Manifest, image.ID, image.Blobs, ids, s.layout().Tagged(text))
	}
	return w.Close()
}
