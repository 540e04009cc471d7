// Images on disk: an OCI image layout (the OCI Image Format Specification, image-layout.md), which
// other tools can read. blobs/ holds everything under the digest of its bytes, and index.json gives
// names to manifests. Beside it, layers/ holds each layer once, unpacked, under the digest of its
// uncompressed tar, for all images that have it.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/registry"
)

// openImages makes what is missing of the directories and files for images: once, under the lock.
// The index comes first, so that where oci-layout is, a missing index was lost.
func (s Store) openImages() error {
	for _, dir := range []string{"images/blobs/sha256", "images/partial", "layers"} {
		if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
			return fmt.Errorf("the store: %w; another place for it is given by "+
				"--root DIR or BOX_ROOT", err)
		}
	}
	if s.hasLayout() {
		return nil
	}
	return s.withLock("images/index.lock", func() error {
		err := s.open()
		if index := s.path("images/index.json"); err == nil && !exists(index) {
			err = state.WriteJSON(index, emptyIndex(), state.Durable)
		}
		if err != nil || s.hasLayout() {
			return err
		}
		version := ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}
		complain(state.WriteJSON(s.layout(), version, state.Durable)) // only other tools read it
		return nil
	})
}

func (s Store) layout() string { return s.path("images", ocispec.ImageLayoutFile) }

// hasLayout reports whether the file is there that other tools know the layout by.
func (s Store) hasLayout() bool {
	var known ocispec.ImageLayout
	err := state.ReadJSON(s.layout(), &known)
	return err == nil && known.Version == ocispec.ImageLayoutVersion
}

func emptyIndex() ocispec.Index {
	return ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
}

// withLock calls do while this process holds a lock of the store alone.
func (s Store) withLock(name string, do func() error) error {
	file, err := state.Lock(context.Background(), s.path(name), state.Exclusive)
	if err != nil {
		return err
	}
	return errors.Join(do(), file.Close())
}

// using keeps collect away while something is made that no name refers to yet. It ends when done is
// called. If no other box does the same, leftovers of boxes that were killed are removed first.
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

// dropHalfMade removes blobs and layers that are not named by a digest yet, and records that were
// half written. The part of a blob that an interrupted pull has left is named by its digest, and
// stays for the next pull.
func (s Store) dropHalfMade() error {
	entries, err := os.ReadDir(s.path("images/partial"))
	for _, entry := range entries {
		if isHalfMade(entry.Name()) {
			err = errors.Join(err, removeTree(s.path("images/partial", entry.Name())))
		}
	}
	return errors.Join(err, state.Sweep(s.path("images/partial")), state.Sweep(s.path("images")),
		state.Sweep(s.path("layers")))
}

// isHalfMade reports whether a name is one of those that are given to directories in partial/. No
// other name is removed there.
func isHalfMade(name string) bool {
	kind, number, _ := strings.Cut(strings.TrimSuffix(name, layer.OwnersSuffix), "-")
	return slices.Contains(strings.Fields("layer tiny fetch mount cache"), kind) &&
		number != "" && strings.Trim(number, "0123456789abcdef") == ""
}

func (s Store) blobPath(d digest.Digest) string {
	return s.path("images", "blobs", d.Algorithm().String(), d.Encoded())
}

func (s Store) layerPath(diffID digest.Digest) string { return s.path("layers", diffID.Encoded()) }

// brief shortens the path of a layer for people. Other paths stay as they are.
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
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data),
		Size: int64(len(data))}
	if known, err := s.readBlob(d.Digest); err == nil && bytes.Equal(known, data) {
		return d, nil // one that is damaged is written once more
	}
	file, err := state.Create(s.path("images/partial"))
	if err != nil {
		return d, err
	}
	_, err = file.Write(data)
	return d, s.keepBlob(file, d.Digest, err)
}

// keepBlob gives a file that was written its name. After an error, err, it discards the file.
func (s Store) keepBlob(file *state.Pending, d digest.Digest, err error) error {
	if err == nil {
		err = file.Commit(s.blobPath(d), 0o644, state.Durable)
	}
	return errors.Join(about("write the blob", d.String(), err), file.Discard())
}

// readBlob reads a small blob, and checks its digest.
func (s Store) readBlob(d digest.Digest) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("the digest %q: %w", d, err)
	}
	path := s.blobPath(d)
	info, err := os.Lstat(path)
	if err == nil && info.Size() > registry.MaxDocument {
		return nil, fmt.Errorf("the blob %s has %s, and a description of an image no more than %s",
			d, units.FormatSize(info.Size()), units.FormatSize(registry.MaxDocument))
	}
	var data []byte
	if err == nil && info.Mode().IsRegular() {
		data, err = os.ReadFile(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the blob %s: %w; pull or load its image again", d, err)
	}
	if err != nil || d.Algorithm().FromBytes(data) != d || !info.Mode().IsRegular() {
		return nil, s.damagedBlob(d)
	}
	return data, nil
}

// damagedBlob is the error about a blob whose bytes are not those of its digest.
func (s Store) damagedBlob(d digest.Digest) error {
	return fmt.Errorf("the blob %s is damaged: remove %s, and pull or load its image again",
		d, s.blobPath(d))
}

// checkBlob reads a blob of any size, and compares it with its digest.
func (s Store) checkBlob(d digest.Digest, also ...io.Writer) error {
	file, err := os.Open(s.blobPath(d))
	if err != nil {
		return err
	}
	defer file.Close()
	sum := d.Verifier()
	_, err = io.Copy(io.MultiWriter(append(also, sum)...), file)
	if err == nil && !sum.Verified() {
		err = s.damagedBlob(d)
	}
	return err
}

// readObject reads a blob that is JSON.
func (s Store) readObject(d digest.Digest, value any) error {
	data, err := s.readBlob(d)
	if err == nil {
		err = json.Unmarshal(data, value)
	}
	return about("read", d.String(), err)
}

// readIndex reads index.json. A store that has none yet has no images.
func (s Store) readIndex() (index ocispec.Index, err error) {
	path := s.path("images/index.json")
	err = state.ReadJSON(path, &index)
	if errors.Is(err, fs.ErrNotExist) && !exists(s.layout()) && !exists(path) {
		return emptyIndex(), nil
	}
	if err == nil && index.SchemaVersion != 2 {
		err = fmt.Errorf("%s: no index of images, whose schemaVersion is 2", path)
	}
	for _, d := range index.Manifests {
		if errDigest := d.Digest.Validate(); err == nil && errDigest != nil {
			err = fmt.Errorf("%s: digest %q: %w", path, d.Digest, errDigest)
		}
	}
	if err != nil {
		err = fmt.Errorf("the list of images is damaged: %w\n"+
			"     restore this file; or remove the directory %s, and pull or load the images again",
			err, s.path("images"))
	}
	return index, err
}

// nameOf is the full name of an entry of the index; "" for an image without one.
func nameOf(d ocispec.Descriptor) string { return d.Annotations[ocispec.AnnotationRefName] }

// originAnnotation is on an entry of the index whose image a registry has: the repository, and the
// digest that the registry answers to. The manifest here has another one, if the registry has an
// index, or a manifest in Docker's format.
const originAnnotation = "stagebox.origin"

func originOf(d ocispec.Descriptor) string { return d.Annotations[originAnnotation] }

// withOrigin returns an entry that says where a registry has its image.
func withOrigin(
	d ocispec.Descriptor, ref registry.Reference, origin digest.Digest,
) ocispec.Descriptor {
	ref.Tag, ref.Digest = "", origin
	d.Annotations = map[string]string{originAnnotation: ref.Familiar()}
	return d
}

// hasDigest reports whether an image is found under a digest, here or in its registry.
func hasDigest(d ocispec.Descriptor, want digest.Digest) bool {
	return d.Digest == want || strings.HasSuffix(originOf(d), "@"+want.String())
}

// setNames changes the index: change gets its entries, and returns the new ones.
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

// tag gives a manifest a name. If another one has that name, it loses it, and stays in the index
// without a name. With an empty name, the manifest is listed without one.
func (s Store) tag(manifest ocispec.Descriptor, name string) error {
	return s.setNames(func(list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		kept := slices.DeleteFunc(slices.Clone(list), func(d ocispec.Descriptor) bool {
			return nameOf(d) == name && name != "" || nameOf(d) == "" && d.Digest == manifest.Digest
		})
		for _, d := range list {
			lost := nameOf(d) == name && d.Digest != manifest.Digest
			if lost && !lists(kept, d) {
				kept = append(kept, unnamed(d))
			}
		}
		named := unnamed(manifest)
		if name != "" {
			named.Annotations[ocispec.AnnotationRefName] = name
		} else if lists(kept, manifest) {
			return kept, nil
		}
		return append(kept, named), nil
	})
}

// lists reports whether a list has an entry for a manifest, with or without a name.
func lists(list []ocispec.Descriptor, manifest ocispec.Descriptor) bool {
	return slices.ContainsFunc(list, func(d ocispec.Descriptor) bool {
		return d.Digest == manifest.Digest
	})
}

// unnamed returns an entry of the index without its name.
func unnamed(d ocispec.Descriptor) ocispec.Descriptor {
	u := ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size,
		Annotations: map[string]string{}}
	if origin := originOf(d); origin != "" {
		u.Annotations[originAnnotation] = origin
	}
	return u
}

// collect removes blobs and layers that no image and no container needs any more. If another box is
// making something (using), the next call does it. Images in gone are removed from the index next.
func (s Store) collect(gone ...digest.Digest) error {
	alone, err := state.TryLock(s.path("images/use.lock"), state.Exclusive)
	if err == state.ErrBusy {
		return nil
	}
	if err != nil {
		return err
	}
	defer alone.Close()
	needed, err := s.needed(gone...)
	if err != nil {
		return err
	}
	for _, dir := range []string{"images/blobs/sha256", "images/partial", "layers"} {
		entries, err := os.ReadDir(s.path(dir))
		if err != nil {
			return err
		}
		for _, entry := range entries {
			name, _, _ := strings.Cut(entry.Name(), ".") // a note beside a layer
			if dir != "images/partial" && (needed[name] || state.IsPending(entry.Name())) {
				continue // pending: a note that is being written at this moment
			}
			if !ids.IsID(name) && !isHalfMade(entry.Name()) && !state.IsPending(entry.Name()) {
				continue // not box's
			}
			if err := removeTree(s.path(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// needed returns the digests that images and containers refer to, in hexadecimal.
func (s Store) needed(gone ...digest.Digest) (map[string]bool, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	needed := map[string]bool{}
	for _, d := range index.Manifests {
		if slices.Contains(gone, d.Digest) {
			continue
		}
		image, err := s.readImage(d)
		if err != nil {
			return nil, fmt.Errorf("%w\n     nothing that is not needed any more is removed, "+
				"as long as box rmi %s has not removed this image", err, d.Digest.Encoded())
		}
		needed[image.Manifest.Digest.Encoded()], needed[image.ID.Encoded()] = true, true
		for _, layer := range image.Blobs {
			needed[layer.Digest.Encoded()] = true
		}
		for _, diffID := range image.Config.RootFS.DiffIDs {
			needed[diffID.Encoded()] = true
		}
		dirs, _ := s.dirs(image) // what is missing needs not be kept
		for _, dir := range dirs {
			needed[filepath.Base(dir)] = true
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
	containers, unknown, err := s.records()
	for _, r := range containers {
		for _, dir := range r.Run.topFirst() {
			needed[filepath.Base(dir)] = true
		}
	}
	if len(unknown) > 0 { // what layers these have is not known
		err = fmt.Errorf("nothing is removed while a container is damaged: %w",
			errors.Join(unknown...))
	}
	return needed, err
}
