// Package stubs finds the mount points that a container's layers lack, and removes them from its own
// layer afterwards. Mount points have to exist, so box makes empty files and directories for them;
// as a part of an image they would be litter. The lesson reads Missing and Remove.
package stubs

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/union"
)

// places are the mount points of every container.
var places = []string{"dev", "proc", "sys", "etc/hostname", "etc/hosts", "etc/resolv.conf"}

// Missing returns the mount points of every container, and the others that are named, as far as the
// layers do not have them, with the directories above them; the deepest comes first.
func Missing(layers *union.FS, others ...string) (list []string) {
	for _, place := range append(slices.Clone(places), others...) {
		at, absent := strings.TrimPrefix(place, "/"), ""
		n, err := layers.Find(at, false)
		for ; err != nil; n, err = layers.Find(at, true) { // links lead to the directories above
			at, absent = path.Dir(at), path.Join(path.Base(at), absent)
		}
		for ; absent != "" && absent != "."; absent = path.Dir(absent) {
			list = append(list, path.Join(n.Path(), absent))
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		return strings.Count(b, "/") - strings.Count(a, "/")
	})
	return slices.Compact(list)
}

// Remove removes mount points from a layer that are still as box made them: empty.
func Remove(layer string, list []string) error {
	root, err := unix.Open(layer, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %q: %w", layer, err)
	}
	defer unix.Close(root)
	for _, stub := range list {
		dir, err := files.OpenBeneath(root, path.Dir(stub), unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			continue // the step has replaced it
		}
		err = removeEmpty(dir, path.Base(stub))
		unix.Close(dir)
		if err != nil && err != unix.ENOENT && err != unix.ENOTEMPTY {
			return fmt.Errorf("remove %q: %w", stub, err)
		}
	}
	return nil
}

// removeEmpty removes an empty directory or file.
func removeEmpty(dir int, name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	case st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0:
		return unix.Unlinkat(dir, name, 0)
	}
	return nil
}
