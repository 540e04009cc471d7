// Layers of an archive that are not in the store yet.

package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/layerstore"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

// Staging keeps the layers of an archive in a directory, each as its blob and unpacked, until the
// configuration of an image has confirmed their digests.
type Staging struct {
	Dir    string
	Limit  layer.Limit
	Remove func(dir string) error // removes an unpacked layer

	layers map[digest.Digest]*Staged // by the digests of their blobs
}

// Staged is one of these layers. File is cleared when the layer is kept elsewhere.
type Staged struct {
	Blob   ocispec.Descriptor
	DiffID digest.Digest
	File   string // with the blob
	Dir    string // that it was unpacked to
}

// Unpack is Add for Read.
func (s *Staging) Unpack(in io.Reader) (blob ocispec.Descriptor, err error) {
	l, err := s.Add(in)
	if err == nil {
		blob = l.Blob
	}
	return blob, err
}

// Add writes a layer to a file and unpacks it, in one pass. An archive may have the same layer
// twice.
func (s *Staging) Add(in io.Reader) (*Staged, error) {
	file, err := state.Create(s.Dir)
	if err != nil {
		return nil, err
	}
	l := &Staged{File: file.Name()}
	if l.Dir, err = os.MkdirTemp(s.Dir, "layer-*"); err != nil {
		return nil, errors.Join(err, file.Discard())
	}
	l.Blob, l.DiffID, err = layer.Receive(in, file.File, l.Dir, s.Limit)
	err = errors.Join(err, file.Close()) // now: there may be many
	if err != nil {
		return nil, errors.Join(err, s.remove(l))
	}
	if twin := s.layers[l.Blob.Digest]; twin != nil {
		return twin, s.remove(l)
	}
	if s.layers == nil {
		s.layers = map[digest.Digest]*Staged{}
	}
	s.layers[l.Blob.Digest] = l
	return l, nil
}

// KeepIn brings a layer and its blob to a directory of layers and its layout, once.
func (l *Staged) KeepIn(d layerstore.Dir) error {
	if l.File == "" {
		return nil
	}
	if err := d.Keep(l.Dir, l.DiffID); err != nil {
		return err
	}
	file, err := state.Reopen(l.File)
	if err == nil {
		err = d.Layout.Keep(file, l.Blob.Digest, nil)
	}
	if err == nil {
		l.File = ""
	}
	return err
}

// Layers returns the layers of an image, the lowest first, if all are here.
func (s *Staging) Layers(image *Image) (list []*Staged, err error) {
	for _, blob := range image.Layers {
		l := s.layers[blob.Digest]
		if l == nil && blob.Digest == digest.FromString("") { // it does not begin as a tar file does
			if l, err = s.Add(strings.NewReader("")); err != nil {
				return nil, err
			}
		}
		if l == nil {
			return nil, fmt.Errorf("the archive has no layer %q",
				registry.Printable(blob.Digest.String()))
		}
		list = append(list, l)
	}
	return list, nil
}

// Drop removes the layers whose File was not cleared.
func (s *Staging) Drop() (err error) {
	for _, l := range s.layers {
		if l.File != "" {
			err = errors.Join(err, s.remove(l))
		}
	}
	return err
}

func (s *Staging) remove(l *Staged) error { return errors.Join(os.Remove(l.File), s.Remove(l.Dir)) }
