// Package volume makes, fills, reads and removes volumes. The directory NAME/_data has the files
// of a volume, and NAME/labels.json its labels, if it has any. The caller knows the files that a
// volume begins with, and whether a container has it. Specs are the flags by which containers get
// volumes, their own or those of another container.
//
// The lesson reads Dir.Create, Dir.Prepare and Dir.Remove.
package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
)

// Read describes a volume in the shape of the Docker Engine API; fs.ErrNotExist means that there is
// none of this name.
func Read(dir, name string) (v api.Volume, err error) {
	dir = filepath.Join(dir, name)
	info, err := os.Stat(dir)
	if !ids.IsName(name) {
		return v, fs.ErrNotExist
	}
	if err != nil {
		return v, err
	}
	v = api.Volume{CreatedAt: info.ModTime().Format(time.RFC3339), Driver: "local", Mountpoint: filepath.Join(dir, "_data"), Name: name, Scope: "local"}
	if err = state.ReadJSON(filepath.Join(dir, "labels.json"), &v.Labels); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return v, err
}

// Check checks the directories of a volume, which another program may have damaged.
func Check(dir, name string) error {
	err := files.CheckDir(filepath.Join(dir, name))
	if err == nil {
		err = files.CheckDir(filepath.Join(dir, name, "_data"))
	}
	if err != nil {
		err = fmt.Errorf("%w; restore it, or remove the volume: box volume rm %s", err, name)
	}
	return err
}

// All describes all volumes, sorted by name. One that goes meanwhile is left out.
func All(dir string) (list []api.Volume, err error) {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		v, errRead := Read(dir, entry.Name())
		if errRead != nil && !errors.Is(errRead, fs.ErrNotExist) {
			return nil, errRead
		}
		if errRead == nil {
			list = append(list, v)
		}
	}
	return list, err
}
