// An image as it is in the layout: from a manifest to its configuration and layers.

package oci

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

// Image is an image of a layout.
type Image struct {
	ID       digest.Digest // of its configuration
	Names    []string      // in full, such as docker.io/library/alpine:latest
	Manifest ocispec.Descriptor
	Blobs    []ocispec.Descriptor // its layers as they were pulled or loaded, the lowest first
	Config   Config
	Origins  []string // such as alpine@sha256:…, where a registry has it, by the names
}

// Config is the configuration of an image: OCI's, and what Docker adds to it.
type Config struct {
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

// UnmarshalJSON takes also a string for a list of words, as Docker does: a program without arguments.
func (r *RunConfig) UnmarshalJSON(data []byte) error {
	type plain RunConfig
	c := struct {
		*plain
		Entrypoint, Cmd, Shell Argv
	}{plain: (*plain)(r)}
	err := state.Unmarshal(data, &c)
	r.Entrypoint, r.Cmd, r.Shell = c.Entrypoint, c.Cmd, c.Shell
	return err
}

// Argv is a program and its arguments. A string is a program without arguments.
type Argv []string

// UnmarshalJSON takes a list or a string.
func (a *Argv) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		*a = make(Argv, 1)
		return json.Unmarshal(data, &(*a)[0])
	}
	return json.Unmarshal(data, (*[]string)(a))
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

// NewConfig returns the configuration of a new image for this machine, without layers.
func NewConfig() Config {
	now := time.Now().UTC()
	return Config{Image: ocispec.Image{Created: &now, Platform: Here(),
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}}}
}

// CheckLayers refuses a configuration that does not say what each layer of a manifest has to be.
func (c Config) CheckLayers(inManifest int) error {
	if n := len(c.RootFS.DiffIDs); n != inManifest {
		return fmt.Errorf("its manifest has %d layers, and its configuration names %d: "+
			"not an image to run", inManifest, n)
	}
	for _, diffID := range c.RootFS.DiffIDs {
		if err := registry.CheckDigest(diffID); err != nil {
			return fmt.Errorf("read %q: %w", "the configuration", err)
		}
	}
	return nil
}

// Clone copies a configuration, so that a change of the copy does not reach the original.
func (c Config) Clone() Config {
	r := &c.Config
	for _, list := range []*[]string{&r.Env, &r.Cmd, &r.Entrypoint, &r.OnBuild, &r.Shell} {
		*list = slices.Clone(*list)
	}
	r.Labels, r.Volumes = maps.Clone(r.Labels), maps.Clone(r.Volumes)
	r.ExposedPorts = maps.Clone(r.ExposedPorts)
	c.RootFS.DiffIDs, c.History = slices.Clone(c.RootFS.DiffIDs), slices.Clone(c.History)
	return c
}

// Step returns a line of an image's history. It is empty if the step has made no layer.
func Step(by, comment string, empty bool) ocispec.History {
	now := time.Now().UTC()
	return ocispec.History{Created: &now, CreatedBy: by, Comment: comment, EmptyLayer: empty}
}

// Created is when the image was made; the beginning of Unix time if it does not say.
func (i *Image) Created() time.Time {
	if i.Config.Created == nil {
		return time.Unix(0, 0)
	}
	return *i.Config.Created
}

// Familiar returns the names of the image as people write them: repository and tag. One that
// has no tag has "<none>", and an image without a name has one pair of these.
func (i *Image) Familiar() (list [][2]string) {
	for _, name := range i.Names {
		ref, err := registry.ParseReference(name)
		if err != nil {
			list = append(list, [2]string{name, "<none>"})
			continue
		}
		repository, _, _ := strings.Cut(ref.Familiar(), "@")
		repository = strings.TrimSuffix(repository, ":"+ref.Tag)
		list = append(list, [2]string{repository, cmp.Or(ref.Tag, "<none>")})
	}
	if list == nil {
		list = [][2]string{{"<none>", "<none>"}}
	}
	return list
}

// Here is the platform of this machine.
func Here() ocispec.Platform {
	return ocispec.Platform{Architecture: runtime.GOARCH, OS: "linux"}
}

// OtherPlatform is the error about an image that is for another platform than the one asked for. It
// is an ErrNoImage.
type OtherPlatform struct{ want, is string }

func (o OtherPlatform) Error() string {
	return fmt.Sprintf("no such image here for %s: this one is for %s", o.want, o.is)
}

func (o OtherPlatform) Unwrap() error { return ErrNoImage }

// CheckPlatform returns OtherPlatform if an image is for another platform than asked. If none was
// asked for, and it is for another than this machine's, that is a warning.
func CheckPlatform(is ocispec.Platform, asked string, warn func(error)) error {
	want, err := registry.ParsePlatform(asked)
	if err != nil || registry.Suits(is, want) {
		return err
	}
	other := OtherPlatform{registry.FormatPlatform(want), registry.FormatPlatform(is)}
	if asked != "" {
		return other
	}
	warn(fmt.Errorf("warning: the image is for %s, not %s", other.is, other.want))
	return nil
}

// Image reads the image of a manifest: its configuration, and the names of its layers. It has no
// Names.
func (l Layout) Image(manifest ocispec.Descriptor) (*Image, error) {
	var m ocispec.Manifest
	if err := l.ReadJSON(manifest.Digest, &m); err != nil {
		return nil, err
	}
	image := &Image{ID: m.Config.Digest, Manifest: manifest, Blobs: m.Layers}
	image.Origins = []string{originOf(manifest)}
	if err := l.ReadJSON(m.Config.Digest, &image.Config); err != nil {
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

// Write writes the configuration and the manifest of an image whose layers are in the layout, and
// gives it a name. The manifest gets the annotations.
func (l Layout) Write(
	config Config, layers []ocispec.Descriptor, name string, annotations map[string]string,
) (*Image, error) {
	data, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return l.write(data, layers, name, annotations)
}

// write keeps an image with exactly these bytes of a configuration, whose digest is the image's id.
func (l Layout) write(
	config []byte, layers []ocispec.Descriptor, name string, annotations map[string]string,
) (*Image, error) {
	_, data, err := NewManifest(config, layers, annotations)
	if err != nil {
		return nil, err
	}
	if _, err := l.Put(ocispec.MediaTypeImageConfig, config); err != nil {
		return nil, err
	}
	manifest, err := l.Put(ocispec.MediaTypeImageManifest, data)
	if err != nil {
		return nil, err
	}
	if err := l.Tag(manifest, name); err != nil {
		return nil, err
	}
	return l.Image(manifest)
}

// NewManifest returns the manifest of a configuration and of layers, the lowest first: its
// descriptor and its bytes.
func NewManifest(
	config []byte, layers []ocispec.Descriptor, annotations map[string]string,
) (d ocispec.Descriptor, data []byte, err error) {
	data, err = json.Marshal(ocispec.Manifest{SchemaVersion: 2,
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    descriptorOf(ocispec.MediaTypeImageConfig, config),
		Layers:    append([]ocispec.Descriptor{}, layers...), Annotations: annotations})
	return descriptorOf(ocispec.MediaTypeImageManifest, data), data, err
}

func descriptorOf(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data),
		Size: int64(len(data))}
}

// Replace writes an image again with other blobs of the same layers, under the name: it has the same
// configuration, and so the same id, and the same annotations.
func (l Layout) Replace(image *Image, blobs []ocispec.Descriptor, name string) (*Image, error) {
	config, err := l.Read(image.ID)
	if err != nil {
		return nil, err
	}
	var manifest ocispec.Manifest
	if err := l.ReadJSON(image.Manifest.Digest, &manifest); err != nil {
		return nil, err
	}
	return l.write(config, blobs, name, manifest.Annotations)
}

// PutManifest keeps a manifest as it is. One in Docker's format is rewritten in OCI's, the only one
// that other tools look for in a layout; it names the same blobs.
func (l Layout) PutManifest(
	desc ocispec.Descriptor, data []byte, m ocispec.Manifest,
) (ocispec.Descriptor, error) {
	if desc.MediaType == ocispec.MediaTypeImageManifest {
		return l.Put(desc.MediaType, data)
	}
	m.MediaType, m.Config.MediaType = ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig
	for i, layer := range m.Layers {
		switch {
		case strings.HasSuffix(layer.MediaType, "gzip"):
			m.Layers[i].MediaType = ocispec.MediaTypeImageLayerGzip
		case strings.HasSuffix(layer.MediaType, "zstd"):
			m.Layers[i].MediaType = ocispec.MediaTypeImageLayerZstd
		default:
			m.Layers[i].MediaType = ocispec.MediaTypeImageLayer
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		return desc, err
	}
	return l.Put(m.MediaType, data)
}
