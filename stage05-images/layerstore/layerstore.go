// Package layerstore keeps the layers of images unpacked, each once, as directories that overlay
// can stack. A layer is named by its diff id, the digest of its uncompressed tar:
//
//	HEX         the layer
//	HEX.owners  the owners that an ordinary user cannot give its files (package layer)
//	HEX.json    the number of bytes in its files
//	HEX.gzip    the descriptor of its compressed blob
//
// Only HEX is always there. A mark beside it says that the layer may not be on the disk yet
// (state.Mark).
//
// Several processes may use one directory: a layer is made in the partial/ of an image layout, and
// gets its name under the lock of the layout's index. The package removes no layer that has one.
//
// The lesson reads Dir.name, Dir.Sync, Dir.Compress, Dir.Compressed, Dir.Materialize, Dir.Size and
// Dir.Brief.
package layerstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
)

// Dir is a directory of layers.
type Dir struct {
	Dir    string
	Layout oci.Layout // of the images that the layers are of

	// RemoveTree removes a directory, also one with files of other users.
	RemoveTree func(dir string) error
}

// Path is the directory of a layer, which need not be there.
func (d Dir) Path(diffID digest.Digest) string { return filepath.Join(d.Dir, diffID.Encoded()) }

// Has reports whether a layer is there.
func (d Dir) Has(diffID digest.Digest) bool { return files.CheckDir(d.Path(diffID)) == nil }

// Build makes a directory in which a layer can be made, for Keep or Drop.
func (d Dir) Build() (string, error) {
	return os.MkdirTemp(filepath.Join(d.Layout.Dir, "partial"), "layer-*")
}

// Keep gives a layer that was made in build its name. It is on the disk once Sync has returned. If
// another process has made the same layer meanwhile, that one is kept.
func (d Dir) Keep(build string, diffID digest.Digest) error {
	if err := layer.OwnInside(build); err != nil {
		return err
	}
	if err := os.Chmod(build, 0o755); err != nil {
		return err
	}
	err := d.Layout.Locked(func() error { return d.name(build, diffID) })
	if errors.Is(err, unix.EEXIST) && d.Has(diffID) {
		return d.Drop(build)
	}
	if errors.Is(err, unix.EEXIST) {
		err = errors.Join(fmt.Errorf("%s is not a directory: remove it", d.Path(diffID)),
			d.Drop(build))
	}
	if err != nil {
		return fmt.Errorf("rename %q: %w", build, err)
	}
	return nil
}

// name moves a layer to its final name. The caller holds the lock of the index. The owners file is
// moved first, so that no layer is ever without it.
func (d Dir) name(build string, diffID digest.Digest) error {
	path := d.Path(diffID)
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

// Sync brings all layers to the disk that are not there yet: one wait, however many a build or a
// pull has made.
func (d Dir) Sync() error { return state.SyncMarked(d.Dir, d.Layout.LockFile()) }

// Drop removes a layer that is not wanted, and its owners file.
func (d Dir) Drop(build string) error {
	return errors.Join(d.RemoveTree(build), os.RemoveAll(build+layer.OwnersSuffix))
}

// Empty returns a stack of one empty layer, for an image that has none. Its name is no digest.
func (d Dir) Empty() ([]string, error) {
	dir := filepath.Join(d.Dir, "nothing")
	return []string{dir}, os.MkdirAll(dir, 0o755)
}

// Size is the number of bytes in a layer's files. It is counted once, and noted.
func (d Dir) Size(diffID digest.Digest) int64 {
	var known struct{ Size int64 }
	note := d.Path(diffID) + ".json"
	if err := state.ReadJSON(note, &known); err == nil {
		return known.Size
	}
	size, err := files.Size(d.Path(diffID))
	if known.Size = size; err == nil {
		if err := d.writeNote(note, known); err != nil {
			d.Layout.Warn(err)
		}
	}
	return size
}

// writeNote writes a note beside a layer, which several processes may do at once.
func (d Dir) writeNote(path string, value any) error {
	return d.Layout.Locked(func() error {
		return state.WriteJSON(path, value, state.Volatile)
	})
}

// Brief shortens the path of a layer for people. Other paths stay as they are.
func (d Dir) Brief(path string) string {
	if digest, ok := strings.CutPrefix(path, d.Dir+"/"); ok && len(digest) > 12 {
		return "layers/" + digest[:12] + "…"
	}
	return path
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
