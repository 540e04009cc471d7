// Layers that are made here: unpacked directories that get the digest of their tar as their
// name, and beside it what is known of them.
package main

import (
	"errors"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/layer"
)

// layerLimits are those that were asked for, or the usual ones.
func (s Store) layerLimits() LayerLimits {
	if s.limits == (LayerLimits{}) {
		return LayerLimits{MaxLayerSize: 64 << 30, MaxLayerFiles: 4_000_000}
	}
	return s.limits
}

// keepLayer gives an unpacked layer, once it is on the disk, its name, and first what is known
// of its owners. If somebody else has made the layer meanwhile, that one serves as well.
func (s Store) keepLayer(build string, diffID digest.Digest) error {
	if exists(build+layer.OwnersSuffix) && hasMany() {
		if err := goInside(nil, "own", build); err != nil {
			return err
		}
	}
	if err := os.Chmod(build, 0o755); err != nil {
		return err
	}
	if err := files.Sync(build); err != nil {
		return err
	}
	if exists(build + layer.OwnersSuffix) {
		if err := os.Rename(build+layer.OwnersSuffix, s.layerPath(diffID)+layer.OwnersSuffix); err != nil {
			return err
		}
	}
	err := unix.Renameat2(unix.AT_FDCWD, build, unix.AT_FDCWD, s.layerPath(diffID), unix.RENAME_NOREPLACE)
	if err == unix.EEXIST {
		return s.dropLayer(build)
	}
	return about("rename", build, err)
}

// dropLayer removes a layer that is not wanted.
func (s Store) dropLayer(build string) error {
	return errors.Join(removeTree(build), os.RemoveAll(build+layer.OwnersSuffix))
}

// keepUpper makes a layer of a directory, which stays as it is, and its blob, so that other
// tools can read it from the store. below are the layers that the directory lies on.
func (s Store) keepUpper(upper string, below ...string) (ocispec.Descriptor, error) {
	file, err := state.Create(s.path("images/partial"))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	packed, err := packLayer(file, upper, ownersOf(below)...)
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: packed.DiffID, Size: packed.Bytes}
	if err == nil && !exists(s.layerPath(d.Digest)) {
		if _, err = file.Seek(0, io.SeekStart); err == nil {
			err = s.unpackAs(file, d.Digest)
		}
	}
	return d, s.keepBlob(file, d.Digest, err)
}

// ownersOf are the files beside layers, the top one first.
func ownersOf(layers []string) []string {
	var list []string
	for _, dir := range layers {
		list = append(list, dir+layer.OwnersSuffix)
	}
	return list
}

// layerSize is the bytes of a layer's files. It is counted once, and noted beside the layer.
func (s Store) layerSize(diffID digest.Digest) int64 {
	var known struct{ Size int64 }
	note := s.layerPath(diffID) + ".json"
	if err := state.ReadJSON(note, &known); err == nil {
		return known.Size
	}
	dir, err := unix.Open(s.layerPath(diffID), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(dir)
	if known.Size, err = files.Size(dir); err == nil {
		complain(s.writeNote(note, known))
	}
	return known.Size
}

// writeNote keeps what is known of a layer, which several may find out at once.
func (s Store) writeNote(path string, value any) error {
	return s.withLock("images/index.lock", func() error {
		return state.WriteJSON(path, value, state.Volatile)
	})
}
