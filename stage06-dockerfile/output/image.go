package output

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"stagebox/stage05-images/archive"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

// writeArchive writes an image archive, as box save does, of an image that is not in the store: its
// configuration, layers, names and annotations. layer writes the blob of a layer.
func writeArchive(ctx context.Context, out io.Writer, c oci.Config, layers []ocispec.Descriptor, names []string,
	notes map[string]string, layer func(*archive.Writer, digest.Digest) error) (*oci.Image, error) {
	config, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	manifest, data, err := oci.NewManifest(config, layers, notes)
	if err != nil {
		return nil, err
	}
	w, id := archive.NewWriter(&until{ctx, out}), digest.FromBytes(config)
	err = errors.Join(w.Blob(manifest.Digest, manifest.Size, bytes.NewReader(data)),
		w.Blob(id, int64(len(config)), bytes.NewReader(config)))
	for _, blob := range layers {
		if err == nil {
			err = layer(w, blob.Digest)
		}
	}
	for _, name := range names {
		ref, errName := registry.ParseNewName(name)
		err = errors.Join(err, errName)
		w.Image(manifest, id, layers, c.RootFS.DiffIDs, &ref)
	}
	if len(names) == 0 {
		w.Image(manifest, id, layers, c.RootFS.DiffIDs, nil)
	}
	return &oci.Image{ID: id}, errors.Join(err, w.Close())
}
