// Layers in the store. A layer is there unpacked, as a directory that overlay can stack, named by
// the digest of its uncompressed tar; beside it may be an owners file and notes, such as its size.
// Store.unpackAs unpacks a layer with the package layer, checks its digest and gives it its name.
//
// If /etc/subuid grants an ordinary user more ids, the files of their containers may belong to
// several ids, and some only their owners can read. Work on them is therefore done by "box inside",
// a process in a user namespace with the same mapping (user_namespaces(7)).

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/subid"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
)

// unpackAs unpacks a layer under its digest: all of it and the right one, or nothing.
func (s Store) unpackAs(blob io.Reader, want digest.Digest) error {
	if s.hasLayer(want) {
		sum, err := layer.SumOf(blob, s.layerLimits().Check)
		return cmp.Or(err, layer.Compare(sum.DiffID, want))
	}
	build, err := os.MkdirTemp(s.path("images/partial"), "layer-*")
	if err != nil {
		return err
	}
	sum, err := layer.Unpack(blob, build, s.layerLimits().Check)
	if err = cmp.Or(err, layer.Compare(sum.DiffID, want)); err != nil {
		return errors.Join(err, s.dropLayer(build))
	}
	return s.keepLayer(build, want)
}

// dirs returns the directories of an image's layers, the lowest first.
func (s Store) dirs(image *oci.Image) ([]string, error) {
	var list []string
	for _, diffID := range image.Config.RootFS.DiffIDs {
		dir := s.layerPath(diffID)
		if err := files.CheckDir(dir); err != nil {
			return nil, fmt.Errorf("layer %s of image %s: %w\n"+
				"     remove what is there, and pull, load or build the image again",
				diffID.Short(), cmp.Or(image.ID.Short(), "in the making"), err)
		}
		// overlay takes a directory once. A layer hides all of itself further down.
		list = append(slices.DeleteFunc(list, func(o string) bool { return o == dir }), dir)
		inherited, err := s.inherit(list)
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
func (s Store) inherit(dirs []string) ([]string, error) {
	implied, err := layer.Implied(dirs[len(dirs)-1])
	if err != nil || len(implied) == 0 || len(dirs) == 1 {
		return nil, err
	}
	layers := strings.ReplaceAll(strings.Join(dirs, "\n"), s.path("layers")+"/", "")
	name := digest.FromString("inherited by\n" + layers)
	if s.hasLayer(name) {
		return []string{s.layerPath(name)}, nil
	}
	build, err := os.MkdirTemp(s.path("images/partial"), "layer-*")
	if err != nil {
		return nil, err
	}
	if err := layer.Inherit(build, implied, dirs); err != nil {
		return nil, errors.Join(err, s.dropLayer(build))
	}
	err = s.keepLayer(build, name)
	return []string{s.layerPath(name)}, cmp.Or(err, s.syncLayers()) // the image has its name
}

// hasLayer reports whether a layer is here unpacked.
func (s Store) hasLayer(diffID digest.Digest) bool {
	return files.CheckDir(s.layerPath(diffID)) == nil
}

// layerLimits returns the limits that were given, or the default ones.
func (s Store) layerLimits() layer.LimitFlags {
	if s.limits == (layer.LimitFlags{}) {
		return layer.DefaultLimits
	}
	return s.limits
}

// keepLayer gives an unpacked layer its name; it is on the disk once syncLayers has returned. If
// another process has made the layer meanwhile, that one serves as well.
func (s Store) keepLayer(build string, diffID digest.Digest) error {
	if err := layer.OwnInside(build); err != nil {
		return err
	}
	if err := os.Chmod(build, 0o755); err != nil {
		return err
	}
	err := s.layout().Locked(func() error { return s.nameLayer(build, diffID) })
	if errors.Is(err, unix.EEXIST) && s.hasLayer(diffID) {
		return s.dropLayer(build)
	}
	if errors.Is(err, unix.EEXIST) {
		err = errors.Join(fmt.Errorf("%s is not a directory: remove it", s.layerPath(diffID)),
			s.dropLayer(build))
	}
	return about("rename", build, err)
}

// nameLayer moves an unpacked layer to its final name. The caller holds the lock of the index. The
// owners file is moved first, so that no layer is ever without it.
func (s Store) nameLayer(build string, diffID digest.Digest) error {
	path := s.layerPath(diffID)
	if exists(path) {
		return unix.EEXIST
	}
	if err := state.Mark(path); err != nil {
		return err
	}
	if exists(build + layer.OwnersSuffix) {
		if err := os.Rename(build+layer.OwnersSuffix, path+layer.OwnersSuffix); err != nil {
			return err
		}
	}
	return unix.Renameat2(unix.AT_FDCWD, build, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
}

// syncLayers brings all layers to the disk that are not there yet: one wait, however many a build
// or a pull has made.
func (s Store) syncLayers() error {
	return state.SyncMarked(s.path("layers"), s.path("images/index.lock"))
}

// dropLayer removes a layer that is not wanted.
func (s Store) dropLayer(build string) error {
	return errors.Join(removeTree(build), os.RemoveAll(build+layer.OwnersSuffix))
}

// keepUpper makes a layer of a directory, which stays as it is, and its blob, so that other tools
// can read it from the store. below are the layers under the directory, the top one first.
func (s Store) keepUpper(upper string, below ...string) (ocispec.Descriptor, error) {
	file, err := s.layout().Create()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	packed, err := packLayer(file, upper, layer.OwnersOf(below)...)
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer,
		Digest: packed.DiffID, Size: packed.Bytes}
	if err == nil && !s.hasLayer(d.Digest) {
		if _, err = file.Seek(0, io.SeekStart); err == nil {
			err = s.unpackAs(file, d.Digest)
		}
	}
	return d, s.layout().Keep(file, d.Digest, err)
}

// layerSize is the number of bytes in a layer's files. It is counted once, and noted.
func (s Store) layerSize(diffID digest.Digest) int64 {
	var known struct{ Size int64 }
	note := s.layerPath(diffID) + ".json"
	if err := state.ReadJSON(note, &known); err == nil {
		return known.Size
	}
	size, err := files.Size(s.layerPath(diffID))
	if known.Size = size; err == nil {
		complain(s.writeNote(note, known))
	}
	return size
}

// writeNote writes a note beside a layer, which several processes may do at once.
func (s Store) writeNote(path string, value any) error {
	return s.layout().Locked(func() error {
		return state.WriteJSON(path, value, state.Volatile)
	})
}

// compressLayer makes the compressed blob of a layer, or finds the one that was made before.
func (s Store) compressLayer(diffID digest.Digest) (ocispec.Descriptor, error) {
	note := s.layerPath(diffID) + ".gzip" // the descriptor of that blob
	var d ocispec.Descriptor
	err := state.ReadJSON(note, &d)
	if err == nil && d.Digest.Validate() == nil && s.layout().Has(d.Digest) {
		return d, nil
	}
	file, err := s.layout().Create()
	if err != nil {
		return d, err
	}
	hash := digest.SHA256.Digester()
	out := layer.NewGzipWriter(io.MultiWriter(file, hash.Hash()))
	err = errors.Join(s.writeLayer(out, diffID), out.Close())
	size, errSeek := file.Seek(0, io.SeekCurrent)
	d = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: hash.Digest(),
		Size: size}
	if err := s.layout().Keep(file, d.Digest, errors.Join(err, errSeek)); err != nil {
		return d, err
	}
	return d, s.writeNote(note, d)
}

// writeLayer writes a layer as an uncompressed tar: from its blob if there is one.
func (s Store) writeLayer(w io.Writer, diffID digest.Digest) error {
	err := s.layout().Check(diffID, w)
	if errors.Is(err, os.ErrNotExist) {
		sum, err := packLayer(w, s.layerPath(diffID), s.layerPath(diffID)+layer.OwnersSuffix)
		return cmp.Or(err, layer.Compare(sum.DiffID, diffID))
	}
	return err
}

// materialize makes the blob of a layer that is only here unpacked.
func (s Store) materialize(d digest.Digest) error {
	if s.layout().Has(d) || !s.hasLayer(d) {
		return nil
	}
	file, err := s.layout().Create()
	if err != nil {
		return err
	}
	return s.layout().Keep(file, d, s.writeLayer(file, d))
}

// packLayer is layer.Pack, done inside if the files have many owners.
func packLayer(w io.Writer, dir string, owners ...string) (layer.Sum, error) {
	if !subid.HasMany() {
		return layer.Pack(w, dir, owners...)
	}
	s := layer.NewSummer()
	err := layer.Inside(io.MultiWriter(w, s), append([]string{"pack", dir}, owners...)...)
	return s.Sum(), err
}
