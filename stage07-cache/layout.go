// Images on disk: an OCI image layout (the OCI Image Format Specification, image-layout.md),
// which other tools read as it stands. blobs/ holds everything under the digest of its
// bytes, index.json gives names to manifests. Beside it, layers/ holds each layer once,
// unpacked, under the digest of its uncompressed tar, for all images that have it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/registry"
)

// openImages makes the directories for images that are missing.
func (s Store) openImages() error {
	for _, dir := range []string{"images/blobs/sha256", "images/partial", "layers"} {
		if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
			return fmt.Errorf("the store: %w; another place for it is given by --root DIR or BOX_ROOT", err)
		}
	}
	layout := s.path("images", ocispec.ImageLayoutFile)
	if _, err := os.Stat(layout); err == nil {
		return nil
	}
	return s.withLock("images/index.lock", func() error {
		if err := s.open(); err != nil {
			return err
		}
		if err := state.WriteJSON(s.path("images/index.json"), emptyIndex(), state.Durable); err != nil {
			return err
		}
		version := ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}
		return state.WriteJSON(layout, version, state.Durable)
	})
}

func emptyIndex() ocispec.Index {
	return ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
}

// withLock does something while nobody else does it.
func (s Store) withLock(name string, do func() error) error {
	file, err := state.Lock(context.Background(), s.path(name), state.Exclusive)
	if err != nil {
		return err
	}
	return errors.Join(do(), file.Close())
}

// using keeps the garbage collector away while something is made that no name refers to yet.
// If nobody else is at it, what boxes that were killed had half made goes first.
func (s Store) using() (done func() error, err error) {
	if err := s.openImages(); err != nil {
		return nil, err
	}
	file, err := state.Lock(context.Background(), s.path("images/use.lock"), state.Shared)
	if err != nil {
		return nil, err
	}
	if state.Convert(file, state.Exclusive) == nil {
		err = errors.Join(s.dropHalfMade(), state.Convert(file, state.Shared))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}

// dropHalfMade removes blobs and layers that have no digest for a name yet. What a broken pull
// has got has one: that stays, for the next. And it removes records that were half written.
func (s Store) dropHalfMade() error {
	list, err := filepath.Glob(s.path("images/partial/*-*"))
	err = errors.Join(err, state.Sweep(s.path("images")), state.Sweep(s.path("layers")))
	for _, path := range list {
		err = errors.Join(err, removeTree(path))
	}
	return err
}

func (s Store) blobPath(d digest.Digest) string {
	return s.path("images", "blobs", d.Algorithm().String(), d.Encoded())
}

func (s Store) layerPath(diffID digest.Digest) string { return s.path("layers", diffID.Encoded()) }

// brief is the path of a layer as people can read it; that of another directory stays.
func (s Store) brief(dir string) string {
	if digest, ok := strings.CutPrefix(dir, s.path("layers")+"/"); ok && len(digest) > 12 {
		return "layers/" + digest[:12] + "…"
	}
	return dir
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// putBlob keeps a small blob.
func (s Store) putBlob(mediaType string, data []byte) (ocispec.Descriptor, error) {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if exists(s.blobPath(d.Digest)) {
		return d, nil
	}
	file, err := state.Create(s.path("images/partial"))
	if err != nil {
		return d, err
	}
	_, err = file.Write(data)
	return d, s.keepBlob(file, d.Digest, err)
}

// keepBlob gives a file that was written its name, unless that has failed.
func (s Store) keepBlob(file *state.Pending, d digest.Digest, err error) error {
	if err == nil {
		err = file.Commit(s.blobPath(d), 0o644, state.Durable)
	}
	return errors.Join(about("write the blob", d.String(), err), file.Discard())
}

// readBlob reads a small blob, and holds it against its digest.
func (s Store) readBlob(d digest.Digest) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("the digest %q: %w", d, err)
	}
	info, err := os.Stat(s.blobPath(d))
	if err == nil && info.Size() > registry.MaxDocument {
		return nil, fmt.Errorf("the blob %s has %s, and a description of an image no more than %s", d, units.FormatSize(info.Size()), units.FormatSize(registry.MaxDocument))
	}
	data, err := os.ReadFile(s.blobPath(d))
	if err != nil {
		return nil, fmt.Errorf("the blob %s: %w; pull or load its image again", d, err)
	}
	if d.Algorithm().FromBytes(data) != d {
		return nil, fmt.Errorf("the blob %s is damaged: remove %s, and pull or load its image again", d, s.blobPath(d))
	}
	return data, nil
}

// readObject reads a blob that is JSON.
func (s Store) readObject(d digest.Digest, value any) error {
	data, err := s.readBlob(d)
	if err == nil {
		err = json.Unmarshal(data, value)
	}
	return about("read", d.String(), err)
}

// readIndex reads the names.
func (s Store) readIndex() (ocispec.Index, error) {
	index := emptyIndex()
	err := state.ReadJSON(s.path("images/index.json"), &index)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return index, err
}

// nameOf is the full name of an entry of the index; "" for an image without one.
func nameOf(d ocispec.Descriptor) string { return d.Annotations[ocispec.AnnotationRefName] }

// setNames changes the index: change gets its entries, and returns what they shall be.
func (s Store) setNames(change func([]ocispec.Descriptor) ([]ocispec.Descriptor, error)) error {
	return s.withLock("images/index.lock", func() error {
		index, err := s.readIndex()
		if err != nil {
			return err
		}
		before, err := json.Marshal(index)
		if err != nil {
			return err
		}
		if index.Manifests, err = change(index.Manifests); err != nil {
			return err
		}
		if after, err := json.Marshal(index); err != nil || bytes.Equal(before, after) {
			return err
		}
		return state.WriteJSON(s.path("images/index.json"), index, state.Durable)
	})
}

// tag gives a manifest a name, which another one may have had until now: that stays
// without one. An empty name keeps the image without one.
func (s Store) tag(manifest ocispec.Descriptor, name string) error {
	return s.setNames(func(list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		kept := slices.DeleteFunc(slices.Clone(list), func(d ocispec.Descriptor) bool {
			return nameOf(d) == name && name != "" || nameOf(d) == "" && d.Digest == manifest.Digest
		})
		for _, d := range list {
			lost := nameOf(d) == name && d.Digest != manifest.Digest
			if lost && !slices.ContainsFunc(kept, func(o ocispec.Descriptor) bool { return o.Digest == d.Digest }) {
				kept = append(kept, ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size})
			}
		}
		named := ocispec.Descriptor{MediaType: manifest.MediaType, Digest: manifest.Digest, Size: manifest.Size}
		if name != "" {
			named.Annotations = map[string]string{ocispec.AnnotationRefName: name}
		} else if slices.ContainsFunc(kept, func(o ocispec.Descriptor) bool { return o.Digest == manifest.Digest }) {
			return kept, nil
		}
		return append(kept, named), nil
	})
}

// collect removes what no image and no container needs any more, unless somebody is making
// something: then the next time will do.
func (s Store) collect() error {
	alone, err := state.TryLock(s.path("images/use.lock"), state.Exclusive)
	if err == state.ErrBusy {
		return nil
	}
	if err != nil {
		return err
	}
	defer alone.Close()
	needed, err := s.needed()
	if err != nil {
		return err
	}
	for _, dir := range []string{"images/blobs/sha256", "images/partial", "layers"} {
		entries, err := os.ReadDir(s.path(dir))
		if err != nil {
			return err
		}
		for _, entry := range entries {
			name, _, _ := strings.Cut(entry.Name(), ".") // beside a layer lies what is known of it
			if dir != "images/partial" && (needed[name] || state.IsPending(entry.Name())) {
				continue // a note may be written at this moment, which needs no digest to stay
			}
			if err := removeTree(s.path(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// needed are the digests that images and containers refer to.
func (s Store) needed() (map[string]bool, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	needed := map[string]bool{}
	for _, d := range index.Manifests {
		image, err := s.readImage(d)
		if err != nil {
			return nil, fmt.Errorf("%w\n     nothing that is not needed any more is removed, as long as box rmi %s has not removed this image", err, d.Digest.Encoded())
		}
		needed[image.Manifest.Digest.Encoded()], needed[image.ID.Encoded()] = true, true
		for _, layer := range image.Blobs {
			needed[layer.Digest.Encoded()] = true
		}
		for _, diffID := range image.Config.RootFS.DiffIDs {
			needed[diffID.Encoded()] = true
		}
	}
	steps, err := s.remembered()
	if err != nil {
		return nil, err
	}
	for _, step := range steps {
		if step.Layer != nil {
			needed[step.Layer.Digest.Encoded()] = true
		}
	}
	containers, err := s.all()
	for _, r := range containers {
		for _, dir := range r.Run.topFirst() {
			needed[filepath.Base(dir)] = true
		}
	}
	return needed, err
}
