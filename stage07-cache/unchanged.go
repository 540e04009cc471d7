// What a step did not change. The kernel copies a directory up when anything in it is touched
// (overlayfs in the kernel's Documentation/filesystems), and box itself makes places for
// mounts and takes them away again. Of all that the times of directories are left, and a
// layer does not hold a directory for its time alone: BuildKit's does not either.
package main

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/layer"
)

// dropSame takes directories out of a new layer that are like those below it, given from the
// top, and have nothing in them: what is left is their time, which is no change by itself.
func dropSame(build string, below []string) error {
	if exists(build + layer.OwnersSuffix) {
		return nil // it tells of owners, by path
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
	_, err = dropSameIn(dir, u.Root())
	return err
}

// dropSameIn does so in a directory, and returns how many files are left in it.
func dropSameIn(dir *os.File, below *union.Node) (left int, err error) {
	var before unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &before); err != nil {
		return 0, about("stat", dir.Name(), err)
	}
	entries, err := dir.ReadDir(-1)
	dropped := false
	for _, entry := range entries {
		if left++; !entry.IsDir() {
			continue
		}
		drop, err := saysNothing(dir, entry.Name(), below)
		if errors.Is(err, unix.EACCES) {
			continue // it is closed to the ordinary user whose container made it
		}
		if err == nil && drop {
			left--
			dropped = true
			err = unix.Unlinkat(int(dir.Fd()), entry.Name(), unix.AT_REMOVEDIR)
		}
		if err != nil {
			return left, about("look for changes in", path.Join(dir.Name(), entry.Name()), err)
		}
	}
	if dropped {
		times := []unix.Timespec{before.Atim, before.Mtim}
		err = errors.Join(err, unix.UtimesNanoAt(unix.AT_FDCWD, files.FDPath(int(dir.Fd())), times, 0))
	}
	return left, err
}

// saysNothing tells whether a directory of the layer is empty and like the one below.
func saysNothing(dir *os.File, name string, below *union.Node) (bool, error) {
	old, err := below.Child(name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || err == nil && !old.IsDir() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	file := os.NewFile(uintptr(fd), path.Join(dir.Name(), name))
	defer file.Close()
	if union.IsOpaque(fd) {
		return false, nil
	}
	left, err := dropSameIn(file, old)
	if err != nil || left > 0 {
		return false, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode != old.Mode || st.Uid != old.Uid || st.Gid != old.Gid {
		return false, err
	}
	return noXattrs(fd, old)
}

// noXattrs tells whether neither of two directories has extended attributes of its own.
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
