// Images as files: save writes an archive that is at once an OCI layout and what docker load
// reads; load reads both kinds, also from a pipe, in which nothing can be looked at twice:
// each file is kept by its digest as it passes, and if it is a layer, unpacked meanwhile.
// What belongs together is known at the end.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/registry"
)

// dockerManifest is an entry of manifest.json in an archive of docker save.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// load keeps all images of an archive, and returns their names.
func (s Store) load(in io.Reader) ([]string, error) {
	done, err := s.using()
	if err != nil {
		return nil, err
	}
	defer done()
	stream, _, err := layer.Decompress(in)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	l := &loading{store: s, files: map[string]loaded{}}
	defer l.drop()
	if err := l.read(tar.NewReader(stream)); err != nil {
		return nil, err
	}
	return l.assemble()
}

// maxArchive is how many files an archive of images may have, and maxTold how many bytes
// those that are not layers: they are kept in memory.
const (
	maxArchive = 100_000
	maxTold    = 8 * registry.MaxDocument
)

// loading is an archive while it is read.
type loading struct {
	store Store
	files map[string]loaded // by their names in it
	told  int64
}

// loaded is a file of it.
type loaded struct {
	blob   ocispec.Descriptor
	data   []byte        // unless it is too large for a description, or a layer
	link   string        // to another one
	diffID digest.Digest // of a layer
	temp   string        // the file that it was written to, until it is kept,
	build  string        // and the directory that it was unpacked to
}

// drop removes what was not kept.
func (l *loading) drop() {
	for _, f := range l.files {
		if f.temp != "" {
			complain(errors.Join(os.Remove(f.temp), l.store.dropLayer(f.build)))
		}
	}
}

func (l *loading) read(archive *tar.Reader) error {
	for len(l.files) < maxArchive {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is no archive of docker save, podman save or skopeo: %w", err)
		}
		name := path.Clean(header.Name)
		switch header.Typeflag {
		case tar.TypeSymlink, tar.TypeLink:
			target := header.Linkname
			if header.Typeflag == tar.TypeSymlink {
				target = path.Join(path.Dir(name), target)
			}
			l.files[name] = loaded{link: path.Clean(target)}
		case tar.TypeReg:
			f, err := l.file(archive, header.Size)
			if err != nil {
				return fmt.Errorf("read %.200q: %w", header.Name, err)
			}
			if old := l.files[name]; old.temp != "" { // the same name again
				l.files[name+"\x00"+old.temp] = old
			}
			l.files[name] = f
		}
	}
	return fmt.Errorf("the archive has more than %d files: no image needs that many", maxArchive)
}

// file keeps one file. What begins as a tar does, compressed or not, is unpacked as a layer.
func (l *loading) file(from io.Reader, size int64) (f loaded, err error) {
	in := bufio.NewReaderSize(from, 1<<18)
	if looksLikeLayer(in) {
		return l.layer(in)
	}
	f.blob.Size = size
	if size > registry.MaxDocument {
		return f, nil
	}
	if l.told += size; l.told > maxTold {
		return f, fmt.Errorf("what the archive has beside layers is larger than %s", units.FormatSize(maxTold))
	}
	f.data, err = io.ReadAll(in)
	f.blob.Digest = digest.FromBytes(f.data)
	return f, err
}

// layer writes a layer to a file, and unpacks it meanwhile.
func (l *loading) layer(in io.Reader) (f loaded, err error) {
	file, err := state.Create(l.store.path("images/partial"))
	if err != nil {
		return f, err
	}
	f.temp = file.Name()
	if f.build, err = os.MkdirTemp(filepath.Dir(f.temp), "layer-*"); err == nil {
		err = l.unpack(&f, in, file.File)
	}
	if err = errors.Join(err, file.Close()); err != nil { // there may be many
		return loaded{}, errors.Join(err, os.Remove(f.temp), l.store.dropLayer(f.build))
	}
	return f, nil
}

func (l *loading) unpack(f *loaded, in io.Reader, file *os.File) error {
	tee := io.TeeReader(in, file)
	stream, kind, err := layer.Decompress(tee)
	if err != nil {
		return err
	}
	defer stream.Close()
	sum, err := layer.Unpack(stream, f.build, l.store.layerLimits().check)
	if err == nil {
		_, err = io.Copy(io.Discard, tee)
	}
	if err != nil {
		return err
	}
	f.diffID, f.blob = sum.DiffID, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: sum.DiffID}
	if kind != "" {
		f.blob.MediaType += "+" + kind
		if f.blob.Digest, err = digestOf(file); err != nil {
			return err
		}
	}
	f.blob.Size, err = file.Seek(0, io.SeekEnd)
	return errors.Join(err, file.Chmod(0o644))
}

// digestOf is the digest of a file, which was just written and so is still in memory.
func digestOf(file *os.File) (digest.Digest, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return digest.SHA256.FromReader(file)
}

// looksLikeLayer tells whether a file is a layer, be it one of nothing, or one that is refused
// for what it asks for.
func looksLikeLayer(file *bufio.Reader) bool {
	err := firstHeader(file)
	return err == nil || err == io.EOF || errors.Is(err, zstd.ErrWindowSizeExceeded)
}

// firstHeader looks for the first header of an archive, all of which can still be read
// afterwards; io.EOF is that of an archive of nothing. A block of zstd, or a header with what
// pax adds to it, may be larger than 64 KiB.
func firstHeader(file *bufio.Reader) error {
	begin, _ := file.Peek(256 << 10) // what there is
	if len(begin) == 0 {
		return tar.ErrHeader
	}
	stream, _, err := layer.Decompress(bytes.NewReader(begin))
	if err != nil {
		return err
	}
	defer stream.Close()
	_, err = tar.NewReader(stream).Next()
	return err
}

// find follows the links of the archive: Docker writes a layer that occurs twice once.
func (l *loading) find(name string) (loaded, error) {
	for range 10 {
		f, there := l.files[path.Clean(name)]
		if !there {
			return f, fmt.Errorf("the archive names the file %q, and does not have it", name)
		}
		if f.link == "" {
			return f, nil
		}
		name = f.link
	}
	return loaded{}, fmt.Errorf("the file %q of the archive is a link that leads nowhere", name)
}

// assemble makes the images of what the archive says belongs together. Some archives say it
// in both notations: OCI's tells more.
func (l *loading) assemble() (names []string, err error) {
	var index ocispec.Index
	var list []dockerManifest
	there, err := l.object("index.json", &index)
	if err == nil && !there {
		if there, err = l.object("manifest.json", &list); err == nil && !there {
			err = errors.New("it is no archive of images: neither manifest.json nor index.json is in it; box import makes an image of an archive of files")
		}
	}
	for _, d := range index.Manifests {
		if err == nil {
			names, err = l.fromOCI(d, names)
		}
	}
	for _, m := range list {
		if err == nil {
			names, err = l.fromDocker(m, names)
		}
	}
	return names, err
}

// object reads a file that is JSON.
func (l *loading) object(name string, value any) (there bool, err error) {
	f, there := l.files[name]
	if !there {
		return false, nil
	}
	if f.data == nil && f.blob.Size > registry.MaxDocument {
		return true, fmt.Errorf("%s has %s, and a description may have %s", name, units.FormatSize(f.blob.Size), units.FormatSize(registry.MaxDocument))
	}
	return true, about("read", name, json.Unmarshal(f.data, value))
}

func (l *loading) fromDocker(m dockerManifest, names []string) ([]string, error) {
	config, err := l.find(m.Config)
	if err != nil {
		return names, err
	}
	var layers []ocispec.Descriptor
	for _, name := range m.Layers {
		f, err := l.find(name)
		if err != nil {
			return names, err
		}
		layers = append(layers, f.blob)
	}
	var refs []string
	for _, tag := range m.RepoTags {
		ref, err := newName(tag)
		if err != nil {
			return names, err
		}
		refs = append(refs, ref.String())
	}
	if err := l.keepLayers(config.data, layers); err != nil {
		return names, err
	}
	for _, name := range append(refs, "")[:max(1, len(refs))] {
		image, err := l.store.putImageAs(config.data, layers, name)
		if err != nil {
			return names, err
		}
		names = append(names, orID(name, image.ID))
	}
	return names, nil
}

// orID is the name of an image as people write it, or its id if it has none.
func orID(name string, id digest.Digest) string {
	ref, err := registry.ParseReference(name)
	if err != nil {
		return id.String()
	}
	return ref.Familiar()
}

// blob finds a description by its digest, and holds it against that.
func (l *loading) blob(d digest.Digest) ([]byte, error) {
	if err := checkDigest(d); err != nil {
		return nil, err
	}
	f, err := l.find(blobName(d))
	if err == nil && f.data == nil {
		err = fmt.Errorf("the blob %s of the archive is no description of an image: it has %s", d, units.FormatSize(f.blob.Size))
	}
	if err == nil && f.blob.Digest != d {
		err = fmt.Errorf("the blob %s of the archive has other bytes; their digest is %s", d, f.blob.Digest)
	}
	return f.data, err
}

// fromOCI takes an image of an OCI layout as it is; of several for several platforms, ours.
func (l *loading) fromOCI(d ocispec.Descriptor, names []string) ([]string, error) {
	data, err := l.blob(d.Digest)
	if err != nil {
		return names, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err == nil && len(index.Manifests) > 0 {
		one, err := choose(index, here())
		if err == nil {
			data, err = l.blob(one.Digest)
		}
		if err != nil {
			return names, err
		}
		d.MediaType, d.Digest, d.Size = one.MediaType, one.Digest, one.Size
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return names, about("read", d.Digest.String(), err)
	}
	config, err := l.blob(m.Config.Digest)
	if err == nil {
		err = l.keepLayers(config, m.Layers)
	}
	if err != nil {
		return names, about("read", "the image "+d.Digest.String(), err)
	}
	if _, err := l.store.putBlob(m.Config.MediaType, config); err != nil {
		return names, err
	}
	manifest, err := l.store.putBlob(d.MediaType, data)
	if err != nil {
		return names, err
	}
	name := cmp.Or(d.Annotations["io.containerd.image.name"], nameOf(d))
	if ref, err := newName(name); err == nil {
		name = ref.String()
	} else {
		name = "" // a note of another tool's, and no name
	}
	return append(names, orID(name, m.Config.Digest)), l.store.tag(manifest, name)
}

// keepLayers holds the layers that were unpacked against the configuration, and keeps them
// when all are right.
func (l *loading) keepLayers(config []byte, layers []ocispec.Descriptor) error {
	var c ImageConfig
	if err := json.Unmarshal(config, &c); err != nil {
		return about("read", "the configuration", err)
	}
	if len(c.RootFS.DiffIDs) != len(layers) {
		return fmt.Errorf("its manifest has %d layers, and its configuration %d", len(layers), len(c.RootFS.DiffIDs))
	}
	found := make([]string, len(layers))
	for i, d := range layers {
		for name, f := range l.files {
			if f.diffID != "" && f.blob.Digest == d.Digest {
				found[i] = name
			}
		}
		f, there := l.files[found[i]]
		if !there || f.diffID == "" {
			return fmt.Errorf("the archive has no layer %q", registry.Printable(d.Digest.String()))
		}
		if f.diffID != c.RootFS.DiffIDs[i] {
			return &wrongLayer{f.diffID, c.RootFS.DiffIDs[i]}
		}
	}
	for _, name := range found {
		if err := l.keepLayer(name); err != nil {
			return err
		}
	}
	return nil
}

// keepLayer keeps a layer and its blob, unless that was done.
func (l *loading) keepLayer(name string) error {
	f := l.files[name]
	if f.temp == "" {
		return nil
	}
	if err := l.store.keepLayer(f.build, f.diffID); err != nil {
		return err
	}
	file, err := state.Reopen(f.temp)
	if err == nil {
		err = l.store.keepBlob(file, f.blob.Digest, nil)
	}
	if err != nil {
		return err
	}
	f.temp, f.build = "", ""
	l.files[name] = f
	return nil
}

// save writes images as an OCI layout with Docker's manifest.json beside it.
func (s Store) save(out io.Writer, names []string) error {
	w := &saving{store: s, tar: tar.NewWriter(out), written: map[string]bool{}}
	index := emptyIndex()
	var manifests []dockerManifest
	for _, name := range names {
		image, err := s.image(name)
		if err != nil {
			return err
		}
		if err := w.image(image); err != nil {
			return err
		}
		m := dockerManifest{Config: blobName(image.ID), RepoTags: []string{}, Layers: []string{}}
		for _, blob := range image.Blobs {
			m.Layers = append(m.Layers, blobName(blob.Digest))
		}
		d := image.Manifest
		if ref, err := registry.ParseReference(name); err == nil && ref.Digest == "" && s.hasName(ref.String()) {
			m.RepoTags = append(m.RepoTags, ref.Familiar())
			d.Annotations = map[string]string{"io.containerd.image.name": ref.String(), ocispec.AnnotationRefName: ref.Tag}
		}
		index.Manifests, manifests = append(index.Manifests, d), append(manifests, m)
	}
	for _, file := range []struct {
		name  string
		value any
	}{{"index.json", index}, {"manifest.json", manifests}, {ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}}} {
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

// hasName tells whether an image here has a name. What is none may be the beginning of an id.
func (s Store) hasName(name string) bool {
	index, err := s.readIndex()
	return err == nil && slices.ContainsFunc(index.Manifests, func(d ocispec.Descriptor) bool { return nameOf(d) == name })
}

func blobName(d digest.Digest) string { return "blobs/" + d.Algorithm().String() + "/" + d.Encoded() }

// saving is an archive while it is written.
type saving struct {
	store   Store
	tar     *tar.Writer
	written map[string]bool
}

// image writes the blobs of an image that are not in the archive yet.
func (w *saving) image(image *Image) error {
	for _, d := range append([]ocispec.Descriptor{image.Manifest, {Digest: image.ID}}, image.Blobs...) {
		if err := w.store.materialize(d.Digest); err != nil {
			return err
		}
		file, err := os.Open(w.store.blobPath(d.Digest))
		if err != nil {
			return err
		}
		info, err := file.Stat()
		if err == nil {
			err = w.file(blobName(d.Digest), info.Size(), file)
		}
		if err = errors.Join(err, file.Close()); err != nil { // there may be many
			return err
		}
	}
	return nil
}

// file writes a file, once. All have the same time, so that the same images give the same archive.
func (w *saving) file(name string, size int64, content io.Reader) error {
	if w.written[name] {
		return nil
	}
	w.written[name] = true
	header := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o444, Size: size, ModTime: time.Unix(0, 0)}
	if err := w.tar.WriteHeader(header); err != nil {
		return about("write", name, err)
	}
	_, err := io.Copy(w.tar, content)
	return about("write", name, err)
}

// importTar makes an image of one layer.
func (s Store) importTar(in io.Reader, name string, changes []string) (*Image, error) {
	config := newConfig()
	config.Config.Env = []string{"PATH=" + defaultPath}
	if err := applyChanges(&config, changes); err != nil {
		return nil, err
	}
	stream, _, err := layer.Decompress(in)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	files := bufio.NewReaderSize(stream, 1<<18)
	if !looksLikeLayer(files) {
		return nil, errors.New("it is no tar archive")
	}
	l := &loading{store: s, files: map[string]loaded{}}
	defer l.drop()
	f, err := l.layer(files)
	if err != nil {
		return nil, err
	}
	l.files["layer"] = f
	if err := l.keepLayer("layer"); err != nil {
		return nil, err
	}
	config.RootFS.DiffIDs = []digest.Digest{f.diffID}
	config.History = []ocispec.History{made("", "imported", false)}
	return s.putImage(config, []ocispec.Descriptor{f.blob}, name)
}
