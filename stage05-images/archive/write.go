// Writing an archive, and the two lists of images that are in it.

package archive

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layerstore"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

// containerdName is the annotation for the full name of an image. OCI's own has only the tag.
const containerdName = "io.containerd.image.name"

// dockerImage is an entry of manifest.json.
type dockerImage struct {
	Config   string // the names of files of the archive
	RepoTags []string
	Layers   []string

	LayerSources any `json:",omitempty"` // the descriptors of layers, by their diff ids
}

// ociNames is the name of an entry of index.json, if it has one.
func ociNames(d ocispec.Descriptor) []string {
	name := cmp.Or(d.Annotations[containerdName], d.Annotations[ocispec.AnnotationRefName])
	if name == "" {
		return nil
	}
	return []string{name}
}

func blobName(d digest.Digest) string { return "blobs/" + d.Algorithm().String() + "/" + d.Encoded() }

// Writer writes an archive that is both an OCI layout and what docker load reads. The same images
// give the same bytes.
type Writer struct {
	tar     *tar.Writer
	written map[string]bool
	index   ocispec.Index
	list    []dockerImage
}

// NewWriter returns a Writer of an archive without images.
func NewWriter(w io.Writer) *Writer {
	index := ocispec.Index{SchemaVersion: 2,
		MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	return &Writer{tar: tar.NewWriter(w), written: map[string]bool{}, index: index}
}

// ErrDamaged means that a blob's bytes are not those of its digest.
var ErrDamaged = errors.New("the blob is damaged")

// Blob writes a blob, unless the archive has it already, and compares it with its digest.
func (w *Writer) Blob(d digest.Digest, size int64, content io.Reader) error {
	if w.written[blobName(d)] {
		return nil
	}
	sum := d.Verifier()
	err := w.file(blobName(d), size, io.TeeReader(content, sum))
	if err == nil && !sum.Verified() {
		err = fmt.Errorf("%w: %s", ErrDamaged, d)
	}
	return err
}

// File is Blob for the content of a file.
func (w *Writer) File(d digest.Digest, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return w.Blob(d, info.Size(), file)
}

// Take writes a blob of an image that is kept, and makes it first if it is a layer of this machine's.
func (w *Writer) Take(from layerstore.Dir, d digest.Digest) error {
	if err := from.Materialize(d); err != nil {
		return err
	}
	err := w.File(d, from.Layout.Path(d))
	if errors.Is(err, ErrDamaged) {
		return from.Layout.Damaged(d)
	}
	return err
}

// Image lists an image: its manifest, the digest of its configuration, its layers with their diff ids,
// and a name with a tag, or nil. Their blobs are written with Blob.
func (w *Writer) Image(
	manifest ocispec.Descriptor, config digest.Digest, layers []ocispec.Descriptor,
	diffIDs []digest.Digest, name *registry.Reference,
) {
	image := dockerImage{Config: blobName(config), RepoTags: []string{}, Layers: []string{}}
	image.LayerSources = sources(layers, diffIDs)
	for _, blob := range layers {
		image.Layers = append(image.Layers, blobName(blob.Digest))
	}
	if name != nil {
		image.RepoTags = append(image.RepoTags, name.Familiar())
		manifest.Annotations = map[string]string{
			containerdName: name.String(), ocispec.AnnotationRefName: name.Tag}
	}
	w.index.Manifests, w.list = append(w.index.Manifests, manifest), append(w.list, image)
}

// dockerTypes are Docker's names for the types of layers that it knows.
var dockerTypes = map[string]string{
	ocispec.MediaTypeImageLayer:     "application/vnd.docker.image.rootfs.diff.tar",
	ocispec.MediaTypeImageLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
}

// sources are the types of layers, which manifest.json says by their diff ids (Docker does since
// version 25). Without it crane takes the type of the first layer for that of all. It is nil if they
// are alike, and if Docker has no name for one.
func sources(layers []ocispec.Descriptor, diffIDs []digest.Digest) any {
	list, alike := map[digest.Digest]ocispec.Descriptor{}, true
	for i, d := range layers {
		kind, known := dockerTypes[d.MediaType]
		if !known || i == len(diffIDs) {
			return nil
		}
		alike = alike && d.MediaType == layers[0].MediaType
		list[diffIDs[i]] = ocispec.Descriptor{MediaType: kind, Digest: d.Digest, Size: d.Size}
	}
	if alike {
		return nil
	}
	return list
}

// Close writes the lists, and the end of the archive. It does not close the underlying writer.
func (w *Writer) Close() error {
	for _, file := range []struct {
		name  string
		value any
	}{
		{"index.json", w.index},
		{"manifest.json", w.list},
		{ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}},
	} {
		data, err := json.Marshal(file.value)
		if err == nil {
			err = w.file(file.name, int64(len(data)), bytes.NewReader(data))
		}
		if err != nil {
			return err
		}
	}
	return w.tar.Close()
}

// file writes a file, once. All have the same time, so that the bytes do not depend on it.
func (w *Writer) file(name string, size int64, content io.Reader) error {
	if w.written[name] {
		return nil
	}
	w.written[name] = true
	err := w.tar.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o444, Size: size,
		ModTime: time.Unix(0, 0)})
	if err == nil {
		_, err = io.Copy(w.tar, content)
	}
	if err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	return nil
}
