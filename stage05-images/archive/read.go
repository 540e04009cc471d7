// Package archive reads and writes images as files.
//
// docker save, podman save and skopeo write a tar file of blobs and of lists of images: index.json
// in an OCI layout (image-layout.md of the OCI image specification), manifest.json in Docker's own
// format. Read takes either format, even from a pipe. As the lists may come last, each layer is
// handed to the caller as it passes.
// Writer writes both lists into one archive.
package archive

import (
	"archive/tar"
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

// maxFiles is how many files an archive may have, and maxDocuments how many bytes those that are
// not layers may have in all: they are kept in memory.
const (
	maxFiles     = 100_000
	maxDocuments = 8 * registry.MaxDocument
)

// Archive is an archive that was read to its end.
type Archive struct {
	files     map[string]file // by their names in it
	documents int64           // bytes of those that are not layers
	unpack    func(io.Reader) (ocispec.Descriptor, error)
}

// file is one file of the archive.
type file struct {
	blob ocispec.Descriptor
	data []byte // nil for a layer, and for a file that is too large to be a document
	link string // the name of another file

	notLayer error // why it was not taken for a layer
}

// isNoLayer reports whether a file cannot be a layer. An empty one can: it is an empty layer.
func (f file) isNoLayer() bool { return f.notLayer != nil && f.blob.Size > 0 }

// noLayer says that a file has the name of a layer, and is not one.
func noLayer(name string, err error) error {
	return fmt.Errorf("the archive has no layer %q: the file of this name is not a tar file: %w",
		registry.Printable(name), err)
}

// Read reads an archive, compressed or not. Each file that looks like a layer goes to unpack, which
// reads it to its end and returns the descriptor of its blob.
func Read(r io.Reader, unpack func(io.Reader) (ocispec.Descriptor, error)) (*Archive, error) {
	stream, _, err := layer.Decompress(r)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	a := &Archive{files: map[string]file{}, unpack: unpack}
	in := tar.NewReader(stream)
	for len(a.files) < maxFiles {
		header, err := in.Next()
		if err == io.EOF {
			return a, nil
		}
		if err != nil {
			return nil, fmt.Errorf("not an archive of docker save, podman save or skopeo: %w", err)
		}
		if err := a.entry(header, in); err != nil {
			return nil, fmt.Errorf("read %.200q: %w", header.Name, err)
		}
	}
	return nil, fmt.Errorf("the archive has more than %d files: no image needs that many", maxFiles)
}

// entry takes a file or a link. Links are common: Docker stores a layer that occurs twice once.
func (a *Archive) entry(header *tar.Header, content io.Reader) (err error) {
	name, target := path.Clean(header.Name), header.Linkname
	switch header.Typeflag {
	case tar.TypeSymlink:
		a.files[name] = file{link: path.Join(path.Dir(name), target)}
	case tar.TypeLink:
		a.files[name] = file{link: path.Clean(target)}
	case tar.TypeReg:
		var f file
		if f, err = a.read(content, header.Size); err == nil {
			a.files[name] = f
		}
	}
	return err
}

// read reads a file. One that begins as a tar file does, compressed or not, is a layer.
func (a *Archive) read(content io.Reader, size int64) (f file, err error) {
	in := bufio.NewReaderSize(content, 1<<18)
	if layer.IsLayer(in) {
		f.blob, err = a.unpack(in)
		return f, err
	}
	f.blob.Size, f.notLayer = size, layer.FirstHeader(in)
	if size > registry.MaxDocument {
		return f, nil
	}
	if a.documents += size; a.documents > maxDocuments {
		return f, fmt.Errorf("the archive's files other than layers are larger than %s",
			units.FormatSize(maxDocuments))
	}
	f.data, err = io.ReadAll(in)
	f.blob.Digest = digest.FromBytes(f.data)
	return f, err
}

// Image is an image of an archive. Its layers and its configuration are not compared.
type Image struct {
	Names    []string             // in full; often one, perhaps none
	Config   []byte               // the configuration, whose digest is the image's id
	Layers   []ocispec.Descriptor // the lowest first
	Manifest ocispec.Descriptor   // one in Docker's own format has none, and it is made
	Data     []byte               // of the manifest

	ConfigType string // the media type of the configuration

	platform ocispec.Platform
}

// Images calls keep for each image, and ends with the first error. An image for several platforms
// is the one for platform. If the archive has both lists, OCI's is used: it says more.
func (a *Archive) Images(platform ocispec.Platform, keep func(*Image) error) error {
	var index ocispec.Index
	var list []dockerImage
	found, err := a.object("index.json", &index)
	if err == nil && !found {
		found, err = a.object("manifest.json", &list)
	}
	if err == nil && !found {
		err = errors.New("not an image archive: it has neither manifest.json nor index.json; " +
			"box import makes an image of an archive of files")
	}
	if err == nil {
		err = a.fromOCI(index.Manifests, platform, keep)
	}
	for _, d := range list {
		if err == nil {
			err = a.fromDocker(d, keep)
		}
	}
	return err
}

// fromOCI reads the images of an OCI layout. Whatever is not an image, such as a signature, is skipped. If
// a name has images for several platforms, the one that suits is kept.
func (a *Archive) fromOCI(
	entries []ocispec.Descriptor, platform ocispec.Platform, keep func(*Image) error,
) error {
	images := make([]*Image, len(entries))
	best := map[string]bool{} // the names that have an image for the platform
	for i, d := range entries {
		image, err := a.resolve(d, platform)
		if errors.Is(err, registry.ErrNoImage) {
			continue
		}
		if err != nil {
			return about("read", "the image "+d.Digest.String(), err)
		}
		images[i] = image
		for _, name := range image.Names {
			best[name] = best[name] || registry.Suits(image.platform, platform)
		}
	}
	for _, image := range images {
		if image == nil || slices.ContainsFunc(image.Names, func(name string) bool {
			return best[name] && !registry.Suits(image.platform, platform)
		}) {
			continue
		}
		image.Names = fullNames(image.Names)
		if err := keep(image); err != nil {
			return about("read", "the image "+image.Manifest.Digest.String(), err)
		}
	}
	if len(entries) > 0 && !slices.ContainsFunc(images, func(i *Image) bool { return i != nil }) {
		return fmt.Errorf("none of the archive's %d entries is an image", len(entries))
	}
	return nil
}

// resolve reads the image that an entry names, the one for the platform if that is an index.
func (a *Archive) resolve(d ocispec.Descriptor, platform ocispec.Platform) (*Image, error) {
	get := func(d ocispec.Descriptor) ([]byte, error) { return a.blob(d.Digest) }
	image := &Image{Names: ociNames(d)}
	data, err := get(d)
	if err != nil {
		return nil, err
	}
	var kind ocispec.Index
	if json.Unmarshal(data, &kind) == nil && len(kind.Manifests) > 0 {
		d.MediaType = ocispec.MediaTypeImageIndex // whatever the entry says
	}
	if image.Manifest, image.Data, err = registry.Resolve(d, data, platform, get); err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(image.Data, &m); err != nil {
		return nil, err
	}
	if !registry.IsImage(m) {
		return nil, registry.ErrNoImage
	}
	image.Layers, image.ConfigType = m.Layers, m.Config.MediaType
	for _, d := range m.Layers {
		if f, err := a.find(blobName(d.Digest)); err == nil && f.isNoLayer() {
			return nil, noLayer(d.Digest.String(), f.notLayer)
		}
	}
	if image.Config, err = get(m.Config); err == nil {
		err = json.Unmarshal(image.Config, &image.platform)
	}
	return image, err
}

func about(operation, what string, err error) error {
	return fmt.Errorf("%s %q: %w", operation, what, err)
}

// fromDocker reads an image of manifest.json.
func (a *Archive) fromDocker(d dockerImage, keep func(*Image) error) error {
	config, err := a.find(d.Config)
	if err != nil {
		return err
	}
	image := &Image{Config: config.data, ConfigType: ocispec.MediaTypeImageConfig}
	for _, name := range d.Layers {
		f, err := a.find(name)
		if err == nil && f.isNoLayer() {
			err = noLayer(name, f.notLayer)
		}
		if err != nil {
			return err
		}
		image.Layers = append(image.Layers, f.blob)
	}
	for _, text := range d.RepoTags {
		ref, err := registry.ParseNewName(text)
		if err != nil {
			return err
		}
		image.Names = append(image.Names, ref.String())
	}
	image.Manifest, image.Data, err = oci.NewManifest(image.Config, image.Layers, nil)
	if err != nil {
		return err
	}
	return keep(image)
}

// fullNames returns the names of an image in full. Another tool's annotation may be no name.
func fullNames(texts []string) (names []string) {
	for _, text := range texts {
		if ref, err := registry.ParseNewName(text); err == nil {
			names = append(names, ref.String())
		}
	}
	return names
}

// find follows the links of the archive.
func (a *Archive) find(name string) (file, error) {
	for range 10 {
		f, found := a.files[path.Clean(name)]
		if !found {
			return f, fmt.Errorf("the archive names the file %q but does not contain it", name)
		}
		if f.link == "" {
			return f, nil
		}
		name = f.link
	}
	return file{}, fmt.Errorf("the file %q of the archive is a link that leads nowhere", name)
}

// object reads a file that is JSON.
func (a *Archive) object(name string, value any) (found bool, err error) {
	f, found := a.files[name]
	if !found {
		return false, nil
	}
	if f.data == nil && f.blob.Size > registry.MaxDocument {
		return true, fmt.Errorf("%s is %s; a description is at most %s", name,
			units.FormatSize(f.blob.Size), units.FormatSize(registry.MaxDocument))
	}
	if err := json.Unmarshal(f.data, value); err != nil {
		return true, fmt.Errorf("read %q: %w", name, err)
	}
	return true, nil
}

// blob reads a document that is named by its digest, and checks that.
func (a *Archive) blob(d digest.Digest) ([]byte, error) {
	if err := registry.CheckDigest(d); err != nil {
		return nil, err
	}
	f, err := a.find(blobName(d))
	switch {
	case err != nil:
		return nil, err
	case f.data == nil:
		return nil, fmt.Errorf("blob %s of the archive is not an image description: it is %s",
			d, units.FormatSize(f.blob.Size))
	case f.blob.Digest != d:
		return nil, fmt.Errorf("the blob %s of the archive has other bytes; their digest is %s",
			d, f.blob.Digest)
	}
	return f.data, nil
}
