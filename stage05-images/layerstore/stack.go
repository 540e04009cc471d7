package layerstore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
)

// Stack returns the directories of an image's layers, the lowest first: the layers, and what has to
// lie between them (see inherit), which is made if it is missing.
func (d Dir) Stack(image *oci.Image) ([]string, error) {
	var list []string
	for _, diffID := range image.Config.RootFS.DiffIDs {
		dir := d.Path(diffID)
		if err := files.CheckDir(dir); err != nil {
			return nil, fmt.Errorf("layer %s of image %s: %w\n"+
				"     remove what is there, and pull, load or build the image again",
				diffID.Short(), cmp.Or(image.ID.Short(), "in the making"), err)
		}
		// overlay takes a directory once. A layer hides all of itself further down.
		list = append(slices.DeleteFunc(list, func(o string) bool { return o == dir }), dir)
		inherited, err := d.inherit(list)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", diffID.Short(), err)
		}
		list = append(list, inherited...)
	}
	return list, nil
}

// inherit returns the layer that goes on top of dirs, if the uppermost of these has files in
// directories that it does not list: those are as the layers below have them. Its name says which
// layers it was made for.
func (d Dir) inherit(dirs []string) ([]string, error) {
	implied, err := layer.Implied(dirs[len(dirs)-1])
	if err != nil || len(implied) == 0 || len(dirs) == 1 {
		return nil, err
	}
	layers := strings.ReplaceAll(strings.Join(dirs, "\n"), d.Dir+"/", "")
	name := digest.FromString("inherited by\n" + layers)
	if d.Has(name) {
		return []string{d.Path(name)}, nil
	}
	build, err := d.Build()
	if err != nil {
		return nil, err
	}
	if err := layer.Inherit(build, implied, dirs); err != nil {
		return nil, errors.Join(err, d.Drop(build))
	}
	err = d.Keep(build, name)
	return []string{d.Path(name)}, cmp.Or(err, d.Sync()) // the image has its name
}

// Root returns the directories of a container's root: an image's Stack, or for one without layers an
// empty one.
func (d Dir) Root(image *oci.Image) ([]string, error) {
	dirs, err := d.Stack(image)
	if err == nil && len(dirs) == 0 {
		return d.Empty()
	}
	return dirs, err
}

// Mounted returns the directories of an image that is mounted in a container, the top one first. The
// last one is empty, for a union needs two.
func (d Dir) Mounted(image *oci.Image) ([]string, error) {
	layers, err := d.Stack(image)
	if err != nil {
		return nil, err
	}
	slices.Reverse(layers)
	empty, err := d.Empty()
	return append(layers, empty...), err
}

// IsHere reports whether the image of a manifest has a name or had one, and all of it is there. Then
// its layers were compared with its configuration before.
func (d Dir) IsHere(manifest ocispec.Descriptor) bool {
	if !d.Layout.Lists(manifest) {
		return false
	}
	image, err := d.Layout.Image(manifest)
	if err == nil {
		_, err = d.Stack(image)
	}
	missing := func(blob ocispec.Descriptor) bool { return !d.Layout.Has(blob.Digest) }
	return err == nil && !slices.ContainsFunc(image.Blobs, missing)
}
