// What an image is (the OCI Image Format Specification): a manifest names a configuration and
// layers, each by the digest of its bytes. The configuration says how to run it, and names the
// layers once more, by the digests of their uncompressed tars. Its own digest is the image's id.
// Store.image finds an image in the store, and readImage reads its manifest and configuration.

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"stagebox/stage05-images/registry"
)

// Image is an image of the store.
type Image struct {
	ID       digest.Digest // of its configuration
	Names    []string      // in full, such as docker.io/library/alpine:latest
	Manifest ocispec.Descriptor
	Blobs    []ocispec.Descriptor // its layers as they were pulled or loaded
	Config   ImageConfig
	Origins  []string // such as alpine@sha256:…, where a registry has it, by the names
}

// ImageConfig is the configuration of an image: OCI's, and what Docker adds to it.
type ImageConfig struct {
	ocispec.Image
	Config RunConfig `json:"config"`
}

// RunConfig is how to run an image.
type RunConfig struct {
	ocispec.ImageConfig
	Healthcheck *Healthcheck `json:",omitempty"`
	OnBuild     []string     `json:",omitempty"`
	Shell       []string     `json:",omitempty"`
}

// Healthcheck is how to find out whether a container works. Times are in nanoseconds.
type Healthcheck struct {
	Test          []string      `json:",omitempty"`
	Interval      time.Duration `json:",omitempty"`
	Timeout       time.Duration `json:",omitempty"`
	StartPeriod   time.Duration `json:",omitempty"`
	StartInterval time.Duration `json:",omitempty"`
	Retries       int           `json:",omitempty"`
}

// newConfig returns the configuration of a new image, without layers.
func newConfig() ImageConfig {
	now := time.Now().UTC()
	return ImageConfig{Image: ocispec.Image{Created: &now, Platform: here(),
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}}}
}

// here is the platform of this machine.
func here() ocispec.Platform {
	return ocispec.Platform{Architecture: runtime.GOARCH, OS: "linux"}
}

// otherPlatform is the error about an image that is for another platform than the one asked for.
type otherPlatform struct{ want, is string }

func (o otherPlatform) Error() string {
	return fmt.Sprintf("there is no such image here for %s: this one is for %s", o.want, o.is)
}

func (o otherPlatform) Unwrap() error { return errNoImage }

// checkPlatform returns otherPlatform if an image is for another platform than asked. If none was
// asked for, and it is for another than this machine's, that is a warning.
func checkPlatform(is ocispec.Platform, asked string) error {
	want, err := registry.ParsePlatform(asked)
	if err != nil || registry.Suits(is, want) {
		return err
	}
	other := otherPlatform{registry.FormatPlatform(want), registry.FormatPlatform(is)}
	if asked != "" {
		return other
	}
	complain(fmt.Errorf("warning: the image is for %s, not %s", other.is, other.want))
	return nil
}

// readImage reads the image of a manifest. It has no Names.
func (s Store) readImage(manifest ocispec.Descriptor) (*Image, error) {
	var m ocispec.Manifest
	if err := s.readObject(manifest.Digest, &m); err != nil {
		return nil, err
	}
	image := &Image{ID: m.Config.Digest, Manifest: manifest, Blobs: m.Layers}
	image.Origins = []string{originOf(manifest)}
	if err := s.readObject(m.Config.Digest, &image.Config); err != nil {
		return nil, err
	}
	if n := len(image.Config.RootFS.DiffIDs); n != len(m.Layers) {
		return nil, fmt.Errorf("the image %s: its manifest has %d layers, and its configuration %d",
			manifest.Digest, len(m.Layers), n)
	}
	for i, d := range m.Layers {
		err := cmp.Or(d.Digest.Validate(), image.Config.RootFS.DiffIDs[i].Validate())
		if err != nil {
			return nil, fmt.Errorf("the image %s: layer %d: %w", manifest.Digest, i, err)
		}
	}
	return image, nil
}

// images returns all images of the store, each with its names. One that is damaged is reported,
// and left out.
func (s Store) images() ([]*Image, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	var list []*Image
	for _, d := range index.Manifests {
		same := func(o *Image) bool { return o.Manifest.Digest == d.Digest }
		i := slices.IndexFunc(list, same)
		if i < 0 {
			image, err := s.readImage(unnamed(d))
			if err != nil {
				complain(err)
				continue
			}
			list, i = append(list, image), len(list)
			image.Origins = nil
		}
		if name := nameOf(d); name != "" {
			list[i].Names = append(list[i].Names, name)
		}
		list[i].Origins = append(list[i].Origins, originOf(d))
	}
	return list, nil
}

// errNoImage means that the store has no image of this name or id.
var errNoImage = errors.New("there is no such image here")

// image finds an image by its name, its id, or the beginning of its id.
func (s Store) image(text string) (*Image, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	ref, errName := registry.ParseReference(text)
	for _, d := range slices.Backward(index.Manifests) { // of several platforms, the latest
		if errName == nil &&
			(nameOf(d) == ref.String() || ref.Digest != "" && hasDigest(d, ref.Digest)) {
			return s.readImage(d)
		}
	}
	return s.imageByID(text)
}

func (s Store) imageByID(text string) (*Image, error) {
	hex := strings.TrimPrefix(text, "sha256:")
	if len(hex) < 2 || strings.Trim(hex, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("%w: %q; box images lists them", errNoImage, text)
	}
	all, err := s.images()
	if err != nil {
		return nil, err
	}
	var found []*Image
	for _, image := range all {
		same := slices.ContainsFunc(found, func(o *Image) bool { return o.ID == image.ID })
		if strings.HasPrefix(image.ID.Encoded(), hex) && !same {
			found = append(found, image)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: %q; box images lists them", errNoImage, text)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%q is the beginning of the ids of %d images: give more of it",
		text, len(found))
}

// putImage writes the configuration and the manifest of an image whose layers are here, and gives
// it a name.
func (s Store) putImage(
	config ImageConfig, layers []ocispec.Descriptor, name string,
) (*Image, error) {
	data, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return s.putEncoded(data, layers, name, nil)
}

// putEncoded does the same with the exact bytes of a configuration, whose digest is the image's id,
// and with annotations for the manifest.
func (s Store) putEncoded(
	config []byte, layers []ocispec.Descriptor, name string, annotations map[string]string,
) (*Image, error) {
	d, err := s.putBlob(ocispec.MediaTypeImageConfig, config)
	if err != nil {
		return nil, err
	}
	if layers == nil {
		layers = []ocispec.Descriptor{}
	}
	data, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest, Config: d, Layers: layers,
		Annotations: annotations})
	if err != nil {
		return nil, err
	}
	manifest, err := s.putBlob(ocispec.MediaTypeImageManifest, data)
	if err != nil {
		return nil, err
	}
	if err := s.tag(manifest, name); err != nil {
		return nil, err
	}
	return s.readImage(manifest)
}

// made returns a line of an image's history. It is empty if the step has made no layer.
func made(by, comment string, empty bool) ocispec.History {
	now := time.Now().UTC()
	return ocispec.History{Created: &now, CreatedBy: by, Comment: comment, EmptyLayer: empty}
}

// dirs returns the directories of an image's layers, the lowest first.
func (s Store) dirs(image *Image) ([]string, error) {
	var list []string
	for _, diffID := range image.Config.RootFS.DiffIDs {
		dir := s.layerPath(diffID)
		if err := isDirectory(dir); err != nil {
			return nil, fmt.Errorf("layer %s of image %s: %w\n"+
				"     remove what is there, and pull, load or build the image again",
				short(diffID), cmp.Or(short(image.ID), "in the making"), err)
		}
		// overlay takes a directory once. A layer hides all of itself further down.
		list = append(slices.DeleteFunc(list, func(o string) bool { return o == dir }), dir)
		inherited, err := s.inherit(list)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", short(diffID), err)
		}
		list = append(list, inherited...)
	}
	return list, nil
}

// short returns the beginning of a digest, for people. That of an image that is being built is "".
func short(d digest.Digest) string {
	_, hex, _ := strings.Cut(string(d), ":")
	return hex[:min(12, len(hex))]
}
