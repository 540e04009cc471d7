package layerstore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
)

// Materialize makes the blob of a layer that is only there unpacked.
func (d Dir) Materialize(diffID digest.Digest) error {
	if d.Layout.Has(diffID) || !d.Has(diffID) {
		return nil
	}
	file, err := d.Layout.Create()
	if err != nil {
		return err
	}
	return d.Layout.Keep(file, diffID, d.write(file, diffID))
}

// write writes a layer as an uncompressed tar: from its blob if there is one.
func (d Dir) write(w io.Writer, diffID digest.Digest) error {
	err := d.Layout.Check(diffID, w)
	if errors.Is(err, os.ErrNotExist) {
		sum, err := layer.PackInside(w, d.Path(diffID), d.Path(diffID)+layer.OwnersSuffix)
		return cmp.Or(err, layer.Compare(sum.DiffID, diffID))
	}
	return err
}

// Compress makes the compressed blob of a layer, or finds the one that was made before.
func (d Dir) Compress(diffID digest.Digest) (ocispec.Descriptor, error) {
	note := d.Path(diffID) + ".gzip" // the descriptor of that blob
	var blob ocispec.Descriptor
	err := state.ReadJSON(note, &blob)
	if err == nil && blob.Digest.Validate() == nil && d.Layout.Has(blob.Digest) {
		return blob, nil
	}
	file, err := d.Layout.Create()
	if err != nil {
		return blob, err
	}
	hash := digest.SHA256.Digester()
	out := layer.NewGzipWriter(io.MultiWriter(file, hash.Hash()))
	err = errors.Join(d.write(out, diffID), out.Close())
	size, errSeek := file.Seek(0, io.SeekCurrent)
	blob = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: hash.Digest(),
		Size: size}
	if err := d.Layout.Keep(file, blob.Digest, errors.Join(err, errSeek)); err != nil {
		return blob, err
	}
	return blob, d.writeNote(note, blob)
}

// Compressed returns an image with compressed layers: the same layers, and so the same id, under a
// new manifest, which takes over the name and the annotations. begin is called for each layer that
// is not compressed yet.
func (d Dir) Compressed(image *oci.Image, name string, begin func(diffID digest.Digest)) (
	*oci.Image, error) {
	blobs := slices.Clone(image.Blobs)
	for i, diffID := range image.Config.RootFS.DiffIDs {
		if blobs[i].Digest != diffID {
			continue
		}
		begin(diffID)
		var err error
		if blobs[i], err = d.Compress(diffID); err != nil {
			return nil, fmt.Errorf("compress the layer %s: %w", diffID.Short(), err)
		}
	}
	same := func(a, b ocispec.Descriptor) bool { return a.Digest == b.Digest }
	if slices.EqualFunc(blobs, image.Blobs, same) {
		return image, nil
	}
	return d.Layout.Replace(image, blobs, name)
}
