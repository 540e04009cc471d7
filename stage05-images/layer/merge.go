// Several layers as one directory, by copying, where overlay cannot show them.

package layer

import (
	"io/fs"
	"os"
	"path/filepath"

	"stagebox/stage04-unionfs/union"
)

// Merge copies the files that layers, the top one first, show together, to an empty directory.
func Merge(to string, layers []string) error {
	u, err := union.Open(layers)
	if err != nil {
		return err
	}
	defer u.Close()
	return u.Root().Copy(to)
}

// Flatten is Merge in a user namespace, for a container that has its user 0 alone, who is
// the caller: all files become that user's.
func Flatten(to string, layers []string) error {
	if err := Merge(to, layers); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		err = os.Lchown(name, 0, 0)
		if err == nil && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 { // chown has cleared them
			err = os.Chmod(name, info.Mode())
		}
		return err
	})
}
