// Package unchanged finds the directories that a step did not change. The kernel copies a directory up
// when anything in it is touched (overlayfs in the kernel's Documentation/filesystems), and box itself
// makes mount points and removes them again. After that only the times of directories differ, and a
// layer does not hold a directory for its time alone: BuildKit's does not either. The lesson reads
// dropIn and isSame.
package unchanged

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/layer"
)

// Drop removes empty directories of a new layer that differ from those of the layers below,
// the top one first, in their times alone.
func Drop(build string, below []string) error {
	if _, err := os.Lstat(build + layer.OwnersSuffix); err == nil {
		return nil // its notes on owners may be about them
	}
	u, err := union.Open(below)
	if err != nil {
		return err
	}
	defer u.Close()
	dir, err := os.Open(build)
	if err != nil {
		return err
	}
	defer dir.Close()
	_, err = dropIn(dir, u.Root())
	return err
}

// dropIn removes from a directory of the layer, at any depth, the empty directories that differ
// from those below in their times alone. It returns how many entries are left in it.
func dropIn(dir *os.File, below *union.Node) (left int, err error) {
	var before unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &before); err != nil {
		return 0, fmt.Errorf("stat %q: %w", dir.Name(), err)
	}
	entries, err := dir.ReadDir(-1)
	dropped := false
	for _, entry := range entries {
		if left++; !entry.IsDir() {
			continue
		}
		drop, err := isSame(dir, entry.Name(), below)
		if errors.Is(err, unix.EACCES) {
			continue // the ordinary user whose container made it cannot read it
		}
		if err == nil && drop {
			left--
			dropped = true
			err = unix.Unlinkat(int(dir.Fd()), entry.Name(), unix.AT_REMOVEDIR)
		}
		if err != nil {
			return left, fmt.Errorf("look for changes in %q: %w", path.Join(dir.Name(), entry.Name()), err)
		}
	}
	if dropped {
		times := []unix.Timespec{before.Atim, before.Mtim}
		path := files.FDPath(int(dir.Fd()))
		err = errors.Join(err, unix.UtimesNanoAt(unix.AT_FDCWD, path, times, 0))
	}
	return left, err
}

// isSame reports whether a directory of the layer is empty and like the one below.
func isSame(dir *os.File, name string, below *union.Node) (bool, error) {
	old, err := below.Child(name)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), err == nil && !old.IsDir():
		return false, nil
	case err != nil:
		return false, err
	}
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(int(dir.Fd()), name, flags, 0)
	if err != nil {
		return false, err
	}
	file := os.NewFile(uintptr(fd), path.Join(dir.Name(), name))
	defer file.Close()
	if union.IsOpaque(fd) {
		return false, nil
	}
	left, err := dropIn(file, old)
	if err != nil || left > 0 {
		return false, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err != nil || st.Mode != old.Mode || st.Uid != old.Uid || st.Gid != old.Gid {
		return false, err
	}
	return noXattrs(fd, old)
}

// noXattrs reports whether neither of two directories has extended attributes of its own.
func noXattrs(fd int, old *union.Node) (bool, error) {
	oldFD, err := old.Open(unix.O_PATH)
	if err != nil {
		return false, err
	}
	defer unix.Close(oldFD)
	for _, fd := range []int{fd, oldFD} {
		if list, err := files.XattrRecords(fd); err != nil || len(list) > 0 {
			return false, err
		}
	}
	return true, nil
}
