package ids

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/nearest"
)

// Dir is a directory of containers: each has a directory named by its id, and its name is a symbolic
// link to that id. While a container is made, its directory has a dot before the id.
type Dir struct {
	Path    string
	Running string // has a file named by the id of each container that is made or runs
}

// Find returns the id of a container by its name, its id, or the beginning of its id; "" if there is
// none, and an error if there are several.
func (d Dir) Find(text string) (id string, err error) {
	if id := d.Named(text); id != "" {
		return id, nil
	}
	all, err := d.List()
	if err != nil || text == "" {
		return "", err
	}
	var found []string
	for _, id := range all {
		if strings.HasPrefix(id, text) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%q is the beginning of the ids of %d containers: give more of it",
		text, len(found))
}

// List returns the ids of the containers, sorted.
func (d Dir) List() (list []string, err error) {
	entries, err := os.ReadDir(d.Path)
	for _, entry := range entries {
		if IsID(entry.Name()) {
			list = append(list, entry.Name())
		}
	}
	return list, err
}

// Names returns the names of the containers, sorted: as far as they can be read.
func (d Dir) Names() (names []string) {
	entries, _ := os.ReadDir(d.Path)
	for _, entry := range entries {
		if name := entry.Name(); IsName(name) && !IsID(name) {
			names = append(names, name)
		}
	}
	return names
}

// Named returns the id that a name leads to, whether it has a container or not; "" if none.
func (d Dir) Named(name string) (id string) {
	id, err := os.Readlink(filepath.Join(d.Path, name))
	if err != nil || !IsName(name) || !IsID(id) {
		return ""
	}
	return id
}

// Missing is what to say of a word that no container has as its name.
func (d Dir) Missing(word string) string {
	return fmt.Sprintf("%q; box ps -a lists them by name and id%s", word, nearest.Hint(word, d.Names()))
}

// IsTaken reports whether a name leads to a container, or to one that is being made.
func (d Dir) IsTaken(name string) bool {
	id := d.Named(name)
	if id == "" {
		return false
	}
	for _, path := range []string{filepath.Join(d.Path, id), filepath.Join(d.Path, "."+id), filepath.Join(d.Running, id)} {
		if _, err := os.Lstat(path); err == nil {
			return true
		}
	}
	return false
}

// Take gives a container the name of --name, or else a random one that is free. link makes the
// link; fs.ErrExist means that it is there already.
func (d Dir) Take(name string, link func(name string) error) error {
	if name == "" {
		err := fs.ErrExist
		for errors.Is(err, fs.ErrExist) {
			err = link(TwoWords())
		}
		return err
	}
	if err := CheckName(name); err != nil {
		return fmt.Errorf("--name %w", err)
	}
	err := link(name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if !d.IsTaken(name) {
		return fmt.Errorf("--name %s: %s is not a container's name; box rm -f %s removes it",
			name, filepath.Join(d.Path, name), name)
	}
	return fault.Conflict.Errorf("--name %s: a container has this name already; "+
		"box rm %s removes it, if it has ended", name, name)
}

// Drop removes what has the place of a name, and is the name of no container.
func (d Dir) Drop(name string) error {
	if !IsName(name) || IsID(name) || d.IsTaken(name) {
		return nil
	}
	return os.RemoveAll(filepath.Join(d.Path, name))
}

// DropAll removes the names of a container.
func (d Dir) DropAll(id string) error {
	entries, err := os.ReadDir(d.Path)
	for _, entry := range entries {
		name := filepath.Join(d.Path, entry.Name())
		if to, errLink := os.Readlink(name); errLink == nil && to == id {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}
