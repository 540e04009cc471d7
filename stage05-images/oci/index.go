// index.json: which names there are, and of which manifests.

package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

func emptyIndex() ocispec.Index {
	return ocispec.Index{SchemaVersion: 2,
		MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
}

// Index returns the entries of index.json. A layout that has none yet has no images.
func (l Layout) Index() ([]ocispec.Descriptor, error) {
	index, err := l.readIndex()
	return index.Manifests, err
}

func (l Layout) readIndex() (index ocispec.Index, err error) {
	path := l.indexFile()
	err = state.ReadJSON(path, &index)
	if errors.Is(err, fs.ErrNotExist) && !exists(l.versionFile()) && !exists(path) {
		return emptyIndex(), nil
	}
	if err == nil && index.SchemaVersion != 2 {
		err = fmt.Errorf("%s: not an image index with schemaVersion 2", path)
	}
	for _, d := range index.Manifests {
		if errDigest := d.Digest.Validate(); err == nil && errDigest != nil {
			err = fmt.Errorf("%s: digest %q: %w", path, d.Digest, errDigest)
		}
	}
	if err != nil {
		err = fmt.Errorf("the list of images is damaged: %w\n"+
			"     restore this file; or remove the directory %s, and pull or load the images again",
			err, l.Dir)
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

// WithOrigin returns an entry that says where a registry has its image: in the repository of ref,
// under the digest origin.
func WithOrigin(
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

// Edit changes the index: change gets its entries, and returns the new ones.
func (l Layout) Edit(change func([]ocispec.Descriptor) ([]ocispec.Descriptor, error)) error {
	return l.Locked(func() error {
		index, err := l.readIndex()
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
		return state.WriteJSON(l.indexFile(), index, state.Durable)
	})
}

// Tag gives a manifest a name. If another one has that name, it loses it, and stays in the index
// without a name. With an empty name, the manifest is listed without one.
func (l Layout) Tag(manifest ocispec.Descriptor, name string) error {
	if l.Sync != nil {
		if err := l.Sync(); err != nil {
			return err
		}
	}
	return l.Edit(func(list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
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

// Untag takes names from a manifest, and its entry without a name.
func (l Layout) Untag(manifest digest.Digest, names []string) error {
	return l.Edit(func(list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		return slices.DeleteFunc(list, func(d ocispec.Descriptor) bool {
			return d.Digest == manifest && (slices.Contains(names, nameOf(d)) || nameOf(d) == "")
		}), nil
	})
}

// RemoveDamaged removes an image that cannot be read from the index, by one of its names or by the
// digest of its manifest.
func (l Layout) RemoveDamaged(text string) (found bool, err error) {
	ref, errName := registry.ParseReference(text)
	id := "sha256:" + strings.TrimPrefix(text, "sha256:")
	err = l.Edit(func(list []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		return slices.DeleteFunc(list, func(d ocispec.Descriptor) bool {
			named := errName == nil && nameOf(d) == ref.String() || d.Digest.String() == id
			if !named {
				return false
			}
			_, err := l.Image(d)
			found = found || err != nil
			return err != nil
		}), nil
	})
	return found, err
}

// Lists reports whether the index has an entry for a manifest, with or without a name.
func (l Layout) Lists(manifest ocispec.Descriptor) bool {
	list, err := l.Index()
	return err == nil && lists(list, manifest)
}

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
