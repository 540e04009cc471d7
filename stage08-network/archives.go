// Images as files: save writes an archive that is at once an OCI layout and what docker load
// reads; load reads both kinds, also from a pipe, in which nothing can be looked at twice:
// each file is kept by its digest as it passes, and if it is a layer, unpacked meanwhile.
// What belongs together is known at the end.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// dockerManifest is an entry of manifest.json in an archive of docker save.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

type loadCmd struct {
	Input string `short:"i" help:"The archive; else it is standard input." placeholder:"FILE"`
	Quiet bool   `short:"q" help:"Print nothing."`

	Store

	LayerLimits
}

// Run is `box load`.
func (c *loadCmd) Run() error {
	in := os.Stdin
	if c.Input != "" {
		file, err := os.Open(c.Input)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	} else if isTerminal(0) {
		return errors.New("load reads an archive, which nobody can type: give it with -i FILE, or through a pipe")
	}
	c.Store.limits = c.LayerLimits
	names, err := c.Store.load(in)
	if !c.Quiet {
		for _, name := range names {
			fmt.Println("Loaded image: " + name)
		}
	}
	return about("load", c.Input, err)
}

// load keeps all images of an archive, and returns their names.
func (s Store) load(in io.Reader) ([]string, error) {
	done, err := s.using()
	if err != nil {
		return nil, err
	}
	defer done()
	stream, _, err := decompress(in)
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

// loading is an archive while it is read.
type loading struct {
	store Store
	files map[string]loaded // by their names in it
}

// loaded is a file of it.
type loaded struct {
	blob   ocispec.Descriptor
	diffID digest.Digest // of a layer
	build  string        // the directory that it was unpacked to
	data   []byte        // of a small file
	link   string        // to another one
}

func (l *loading) drop() {
	for _, f := range l.files {
		if f.build != "" {
			if err := l.store.dropLayer(f.build); err != nil {
				fmt.Fprintf(os.Stderr, "box: %v\n", err)
			}
		}
	}
}

func (l *loading) read(archive *tar.Reader) error {
	for {
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
			if l.files[name], err = l.file(archive, header.Size); err != nil {
				return about("read", header.Name, err)
			}
		}
	}
}

// file keeps one file. What begins as a tar does, compressed or not, is unpacked as a layer.
func (l *loading) file(from io.Reader, size int64) (f loaded, err error) {
	file, err := os.CreateTemp(l.store.path("images/partial"), "blob-*")
	if err != nil {
		return f, err
	}
	hash := digest.SHA256.Digester()
	tee := bufio.NewReaderSize(io.TeeReader(from, io.MultiWriter(file, hash.Hash())), 1<<20)
	if looksLikeLayer(tee) {
		if f.build, err = os.MkdirTemp(l.store.path("images/partial"), "layer-*"); err == nil {
			f.diffID, err = l.store.unpackInto(tee, f.build)
		}
	} else if size <= maxAnswer {
		f.data, err = io.ReadAll(tee)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, tee)
	}
	f.blob = ocispec.Descriptor{Digest: hash.Digest(), Size: size}
	if err = l.store.keepBlob(file, f.blob.Digest, err); err != nil && f.build != "" {
		err = errors.Join(err, l.store.dropLayer(f.build))
	}
	return f, err
}

// looksLikeLayer looks at the beginning of a file, which can still be read afterwards.
func looksLikeLayer(file *bufio.Reader) bool {
	begin, _ := file.Peek(64 << 10) // what there is
	stream, _, err := decompress(bytes.NewReader(begin))
	if err != nil {
		return false
	}
	defer stream.Close()
	header, err := tar.NewReader(stream).Next()
	empty := err == io.EOF && len(begin) >= 1024 // a layer of nothing
	return err == nil && header != nil || empty && begin[0] != '{'
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

// assemble makes the images of what the archive says belongs together.
func (l *loading) assemble() (names []string, err error) {
	switch {
	case l.files["manifest.json"].data != nil:
		var list []dockerManifest
		if err := json.Unmarshal(l.files["manifest.json"].data, &list); err != nil {
			return nil, about("read", "manifest.json", err)
		}
		for _, m := range list {
			more, err := l.fromDocker(m)
			if names = append(names, more...); err != nil {
				return names, err
			}
		}
		return names, nil
	case l.files["index.json"].data != nil:
		var index ocispec.Index
		if err := json.Unmarshal(l.files["index.json"].data, &index); err != nil {
			return nil, about("read", "index.json", err)
		}
		return l.fromOCI(index)
	}
	return nil, errors.New("it is no archive of images: neither manifest.json nor index.json is in it; box import makes an image of an archive of files")
}

func (l *loading) fromDocker(m dockerManifest) (names []string, err error) {
	config, err := l.find(m.Config)
	if err != nil {
		return nil, err
	}
	var layers []ocispec.Descriptor
	for _, name := range m.Layers {
		f, err := l.find(name)
		if err != nil {
			return nil, err
		}
		layers = append(layers, ocispec.Descriptor{MediaType: layerType(f), Digest: f.blob.Digest, Size: f.blob.Size})
	}
	if err := l.keepLayers(config.data, layers); err != nil {
		return nil, err
	}
	for _, tag := range append(m.RepoTags, "")[:max(1, len(m.RepoTags))] {
		name := ""
		if tag != "" {
			ref, err := newName(tag)
			if err != nil {
				return names, err
			}
			name = ref.String()
		}
		image, err := l.store.putImageAs(config.data, layers, name)
		if err != nil {
			return names, err
		}
		names = append(names, orID(tag, image))
	}
	return names, nil
}

func orID(name string, image *Image) string {
	if name == "" {
		return image.ID.String()
	}
	return name
}

// layerType is the media type of a layer as it is in the archive.
func layerType(f loaded) string {
	if f.blob.Digest == f.diffID {
		return ocispec.MediaTypeImageLayer
	}
	return ocispec.MediaTypeImageLayerGzip
}

// fromOCI takes the images of an OCI layout as they are.
func (l *loading) fromOCI(index ocispec.Index) (names []string, err error) {
	for _, d := range index.Manifests {
		f, err := l.find("blobs/sha256/" + d.Digest.Encoded())
		if err != nil {
			return names, err
		}
		var m ocispec.Manifest
		if err := json.Unmarshal(f.data, &m); err != nil || m.Config.Digest == "" {
			return names, fmt.Errorf("%s is not the manifest of an image", d.Digest)
		}
		config, err := l.find("blobs/sha256/" + m.Config.Digest.Encoded())
		if err != nil {
			return names, err
		}
		if err := l.keepLayers(config.data, m.Layers); err != nil {
			return names, err
		}
		name := nameOf(d)
		if full := d.Annotations["io.containerd.image.name"]; full != "" {
			name = full
		}
		if ref, err := newName(name); err == nil {
			name = ref.String()
		} else {
			name = "" // a note of another tool's, and no name
		}
		if err := l.store.tag(d, name); err != nil {
			return names, err
		}
		names = append(names, orID(name, &Image{ID: m.Config.Digest}))
	}
	return names, nil
}

// keepLayers holds the layers that were unpacked against the configuration, and keeps them.
func (l *loading) keepLayers(config []byte, layers []ocispec.Descriptor) error {
	var c ImageConfig
	if err := json.Unmarshal(config, &c); err != nil {
		return about("read", "the configuration", err)
	}
	if len(c.RootFS.DiffIDs) != len(layers) {
		return fmt.Errorf("its manifest has %d layers, and its configuration %d", len(layers), len(c.RootFS.DiffIDs))
	}
	for i, d := range layers {
		if err := l.keepLayer(d, c.RootFS.DiffIDs[i]); err != nil {
			return err
		}
	}
	return syncTree(l.store.path("layers"))
}

func (l *loading) keepLayer(d ocispec.Descriptor, want digest.Digest) error {
	for name, f := range l.files {
		if f.blob.Digest != d.Digest || f.diffID == "" {
			continue
		}
		if f.diffID != want {
			return &wrongLayer{f.diffID, want}
		}
		if f.build == "" {
			return nil
		}
		build := f.build
		f.build = ""
		l.files[name] = f
		return l.store.keepLayer(build, want)
	}
	return fmt.Errorf("the archive has no layer %s", d.Digest)
}

type saveCmd struct {
	Images []string `arg:"" name:"image" help:"Names, ids, or beginnings of ids."`
	Output string   `short:"o" help:"The file to write to; else it is standard output." placeholder:"FILE"`

	Store
}

// Run is `box save`.
func (c *saveCmd) Run() error {
	done, err := c.Store.using()
	if err != nil {
		return err
	}
	defer done()
	return toFile(c.Output, "save", func(out *os.File) error { return c.Store.save(out, c.Images) })
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
		if ref, err := parseReference(name); err == nil && ref.Tag != "" && ref.Digest == "" && !isIDOf(name, image) {
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

// isIDOf tells whether an image was named by its id.
func isIDOf(text string, image *Image) bool {
	return strings.HasPrefix(image.ID.Encoded(), strings.TrimPrefix(text, "sha256:"))
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
		if err = errors.Join(err, file.Close()); err != nil {
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

type importCmd struct {
	File   string   `arg:"" help:"A tar archive of files, compressed or not; - is standard input."`
	Name   string   `arg:"" optional:"" help:"The image's name."`
	Change []string `short:"c" help:"An instruction of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR." sep:"none" placeholder:"INSTRUCTION"`

	Store

	LayerLimits
}

// Run is `box import`.
func (c *importCmd) Run() error {
	done, err := c.Store.using()
	if err != nil {
		return err
	}
	defer done()
	name := ""
	if c.Name != "" {
		ref, err := newName(c.Name)
		if err != nil {
			return err
		}
		name = ref.String()
	}
	in := os.Stdin
	if c.File != "-" {
		if in, err = os.Open(c.File); err != nil {
			return err
		}
		defer in.Close()
	}
	c.Store.limits = c.LayerLimits
	image, err := c.Store.importTar(in, name, c.Change)
	if err != nil {
		return about("import", c.File, err)
	}
	_, err = fmt.Println(image.ID)
	return err
}

// importTar makes an image of one layer.
func (s Store) importTar(in io.Reader, name string, changes []string) (*Image, error) {
	config := newConfig()
	config.Config.Env = []string{"PATH=" + defaultPath}
	if err := applyChanges(&config.Config, changes); err != nil {
		return nil, err
	}
	stream, _, err := decompress(in)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	l := &loading{store: s, files: map[string]loaded{}}
	defer l.drop()
	f, err := l.file(stream, -1)
	if err != nil {
		return nil, err
	}
	if f.build == "" {
		return nil, errors.New("it is no tar archive")
	}
	l.files["layer"] = f
	layer, err := s.describe(f.diffID)
	if err == nil {
		err = l.keepLayer(layer, f.diffID)
	}
	if err != nil {
		return nil, err
	}
	config.RootFS.DiffIDs = []digest.Digest{f.diffID}
	config.History = []ocispec.History{made("", "imported", false)}
	return s.putImage(config, []ocispec.Descriptor{layer}, name)
}

// describe describes the uncompressed blob of a layer.
func (s Store) describe(diffID digest.Digest) (ocispec.Descriptor, error) {
	info, err := os.Stat(s.blobPath(diffID))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: diffID, Size: info.Size()}, nil
}

// materialize makes the blob of a layer that is only here unpacked.
func (s Store) materialize(d digest.Digest) error {
	if exists(s.blobPath(d)) || !exists(s.layerPath(d)) {
		return nil
	}
	file, err := os.CreateTemp(s.path("images/partial"), "blob-*")
	if err != nil {
		return err
	}
	packed, err := packLayer(file, s.layerPath(d), s.layerPath(d)+ownersSuffix)
	if err == nil && packed.DiffID != d {
		err = &wrongLayer{packed.DiffID, d}
	}
	return s.keepBlob(file, d, err)
}

// toFile has something written to a file, as a whole, or to standard output for no name.
func toFile(name, command string, write func(out *os.File) error) error {
	if name == "" && isTerminal(1) {
		return fmt.Errorf("%s writes an archive, which is nothing for a terminal: add -o FILE, or send it through a pipe", command)
	}
	if name == "" {
		return write(os.Stdout)
	}
	out, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	if err = errors.Join(write(out), out.Chmod(0o644), out.Sync(), out.Close()); err == nil {
		err = os.Rename(out.Name(), name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(out.Name()))
	}
	return err
}
