// What is being made beside the layers, and what a process that was killed has left of it.

package layerstore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/layer"
)

// DropHalfMade removes blobs and layers that are not named by a digest yet, and records that were
// half written. The part of a blob that an interrupted pull has left is named by its digest, and
// stays for the next pull. The caller holds the lock without which none is made.
func (d Dir) DropHalfMade() error {
	partial := filepath.Join(d.Layout.Dir, "partial")
	entries, err := os.ReadDir(partial)
	for _, entry := range entries {
		if IsHalfMade(entry.Name()) {
			err = errors.Join(err, d.RemoveTree(filepath.Join(partial, entry.Name())))
		}
	}
	return errors.Join(err, state.Sweep(partial), state.Sweep(d.Layout.Dir), state.Sweep(d.Dir))
}

// IsHalfMade reports whether a name is one of those that are given to directories in partial/, by
// later stages too. No other name is removed there.
func IsHalfMade(name string) bool {
	kind, number, _ := strings.Cut(strings.TrimSuffix(name, layer.OwnersSuffix), "-")
	return slices.Contains(strings.Fields("layer tiny fetch mount cache"), kind) &&
		number != "" && strings.Trim(number, "0123456789abcdef") == ""
}
