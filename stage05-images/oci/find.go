// Finding an image of the layout by what people write: its name, its id, or the beginning of the
// id. Client.ManifestFor in package registry asks a registry for the meaning of a tag.

package oci

import (
	"fmt"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/nearest"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

// ErrNoImage means that the layout has no image of this name or id.
var ErrNoImage = fault.NotFound.New("no such image here")

// Find finds an image by its name, its id, or the beginning of its id.
func (l Layout) Find(text string) (*Image, error) {
	index, err := l.Index()
	if err != nil {
		return nil, err
	}
	ref, errName := registry.ParseReference(text)
	for _, d := range slices.Backward(index) { // of several platforms, the latest
		if errName == nil &&
			(nameOf(d) == ref.String() || ref.Digest != "" && hasDigest(d, ref.Digest)) {
			return l.Image(d)
		}
	}
	return l.byID(text)
}

func (l Layout) byID(text string) (*Image, error) {
	hex := strings.TrimPrefix(text, "sha256:")
	if len(hex) < 2 || strings.Trim(hex, "0123456789abcdef") != "" {
		return nil, l.noImage(text)
	}
	all, err := l.Images()
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
		return nil, l.noImage(text)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%q is the beginning of the ids of %d images: give more of it",
		text, len(found))
}

// noImage says that a word names no image, and asks whether one of theirs was meant.
func (l Layout) noImage(text string) error {
	return fmt.Errorf("%w: %q; box images lists them%s", ErrNoImage, text, nearest.Hint(text, l.familiar()))
}

// Meant adds to the error about a word that no image has as its name the question whether it was one
// of theirs, or tiny, misspelt: unless Find has asked.
func (l Layout) Meant(word string, err error) error {
	hint := nearest.Hint(word, append(l.familiar(), "tiny"))
	if err == nil || strings.HasSuffix(err.Error(), hint) {
		return err
	}
	return fmt.Errorf("%w%s", err, hint)
}

// familiar returns the names of the images as a user types them.
func (l Layout) familiar() (names []string) {
	index, _ := l.Index() // that it cannot be read was said
	for _, d := range index {
		if name := nameOf(d); name != "" {
			names = append(names, strings.TrimSuffix(registry.FamiliarOr(name, name), ":latest"))
		}
	}
	return names
}

// Images returns all images, each with its names. One that is damaged is a warning, and left out.
func (l Layout) Images() (list []*Image, err error) {
	index, err := l.Index()
	if err != nil {
		return nil, err
	}
	var manifests []ocispec.Descriptor // each once, although it may have several names
	place := map[digest.Digest]int{}
	for _, d := range index {
		if _, seen := place[d.Digest]; !seen {
			place[d.Digest] = len(manifests)
			manifests = append(manifests, unnamed(d))
		}
	}
	list = l.images(manifests)
	for _, d := range index {
		image := list[place[d.Digest]]
		if image == nil {
			continue
		}
		if name := nameOf(d); name != "" {
			image.Names = append(image.Names, name)
		}
		image.Origins = append(image.Origins, originOf(d))
	}
	return slices.DeleteFunc(list, func(image *Image) bool { return image == nil }), nil
}

// images reads the images of manifests, and leaves nil for one that is damaged.
func (l Layout) images(manifests []ocispec.Descriptor) []*Image {
	list, errs := make([]*Image, len(manifests)), make([]error, len(manifests))
	batch.Spread(len(manifests), func(i int) { list[i], errs[i] = l.Image(manifests[i]) })
	for i, err := range errs {
		if err != nil {
			l.Warn(err)
			continue
		}
		list[i].Origins = nil
	}
	return list
}

// Tagged returns the name with a tag that a text is: nil for a digest, and for the beginning of an
// id, unless an image has that as its name.
func (l Layout) Tagged(text string) *registry.Reference {
	ref, err := registry.ParseReference(text)
	if err != nil || ref.Digest != "" {
		return nil
	}
	index, err := l.Index()
	named := func(d ocispec.Descriptor) bool { return nameOf(d) == ref.String() }
	if err != nil || !slices.ContainsFunc(index, named) {
		return nil
	}
	return &ref
}

// OtherRepository returns another repository of the same registry that may have the blobs of a
// manifest, by the names that it has here; "" if there is none.
func (l Layout) OtherRepository(manifest digest.Digest, ref registry.Reference) string {
	index, err := l.Index()
	if err != nil {
		return ""
	}
	for _, d := range index {
		other, err := registry.ParseReference(nameOf(d))
		if err == nil && d.Digest == manifest &&
			other.Host == ref.Host && other.Repository != ref.Repository {
			return other.Repository
		}
	}
	return ""
}

// Removal is what is to be removed: names of an image, and with the last one the image.
type Removal struct {
	Image *Image   // with all its names
	Names []string // that it loses
	Last  bool     // these are all its names
	Twin  bool     // another manifest has the same configuration, and so the same id
}

// Removal returns what a text stands for: one name, or by an id all names of an image. If these are
// several, all has to be true.
func (l Layout) Removal(text string, all bool) (r Removal, err error) {
	image, err := l.Find(text)
	if err != nil {
		return r, err
	}
	images, err := l.Images()
	if err != nil {
		return r, err
	}
	for _, other := range images {
		if other.Manifest.Digest == image.Manifest.Digest {
			image = other
		} else if other.ID == image.ID {
			r.Twin = true
		}
	}
	r.Image, r.Names = image, image.Names
	ref, err := registry.ParseReference(text)
	if err == nil && slices.Contains(image.Names, ref.String()) {
		r.Names = []string{ref.String()}
	} else if len(image.Names) > 1 && !all {
		return r, fmt.Errorf("the image %.12s has several names: %s; remove one of them, "+
			"or all with -f", image.ID.Encoded(), strings.Join(image.Names, ", "))
	}
	r.Last = len(r.Names) == len(image.Names)
	return r, nil
}

// Layers returns the layers that images have.
func (l Layout) Layers() (map[digest.Digest]bool, error) {
	images, err := l.Images()
	layers := map[digest.Digest]bool{}
	for _, image := range images {
		for _, diffID := range image.Config.RootFS.DiffIDs {
			layers[diffID] = true
		}
	}
	return layers, err
}
