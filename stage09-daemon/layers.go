// Layers in the store. A layer is there unpacked, as a directory that overlay can stack, named by
// the digest of its uncompressed tar: the package layerstore knows these directories, and what is
// beside them. Store.unpackAs unpacks a layer with the package layer and checks its digest.
//
// If /etc/subuid grants an ordinary user more ids, the files of their containers may belong to
// several ids, and some only their owners can read. Work on them is therefore done by "box inside",
// a process in a user namespace with the same mapping (user_namespaces(7)).

package main

import (
	"cmp"
	"errors"
	"io"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/layerstore"
	"stagebox/stage05-images/ocispec"
)

// layers are the layers of the store.
func (s Store) layers() layerstore.Dir {
	return layerstore.Dir{Dir: s.path("layers"), Layout: s.layout(), RemoveTree: removeTree}
}

// unpackAs unpacks a layer under its digest: all of it and the right one, or nothing.
func (s Store) unpackAs(blob io.Reader, want digest.Digest) error {
	if s.layers().Has(want) {
		sum, err := layer.SumOf(blob, s.limits.OrDefault().Check)
		return cmp.Or(err, layer.Compare(sum.DiffID, want))
	}
	build, err := s.layers().Build()
	if err != nil {
		return err
	}
	sum, err := layer.Unpack(blob, build, s.limits.OrDefault().Check)
	if err = cmp.Or(err, layer.Compare(sum.DiffID, want)); err != nil {
		return errors.Join(err, s.layers().Drop(build))
	}
	return s.layers().Keep(build, want)
}

// keepUpper makes a layer of a directory, which stays as it is, and its blob, so that other tools
// can read it from the store. below are the layers under the directory, the top one first.
func (s Store) keepUpper(upper string, below ...string) (ocispec.Descriptor, error) {
	file, err := s.layout().Create()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	packed, err := layer.PackInside(file, upper, layer.OwnersOf(below)...)
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer,
		Digest: packed.DiffID, Size: packed.Bytes}
	if err == nil && !s.layers().Has(d.Digest) {
		if _, err = file.Seek(0, io.SeekStart); err == nil {
			err = s.unpackAs(file, d.Digest)
		}
	}
	return d, s.layout().Keep(file, d.Digest, err)
}
