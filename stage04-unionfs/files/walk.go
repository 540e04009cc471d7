// Package files reads, copies and archives trees of files that may change meanwhile:
// a container that runs can put a link to the host in the place of a directory. So every file
// is named by a descriptor, which was opened with O_PATH below the directory before it and
// without following a link (OpenBeneath). Walk visits the files of a tree, Archive writes them
// as a tar stream, and Copier copies them with all their attributes: kind, owner, mode, times,
// extended attributes, and several names for one file.
//
// Only later stages use Size, TarType, Copier.Change, Copier.Bare and Copier.Forget.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenBeneath opens a file below a directory (openat2(2)). No link is followed, and nothing is
// looked for outside of the directory or on another mount: such a path is an error (ELOOP, EXDEV).
func OpenBeneath(dir int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV}
	return unix.Openat2(dir, name, &how)
}

// Walk visits every file below a directory, in the order of their names, and a directory before
// the files in it. A name is the path below dir, such as etc/passwd. The descriptor is
// O_PATH|O_NOFOLLOW, and is closed after the visit. A file that vanishes meanwhile is left out.
func Walk(dir int, visit func(name string, fd int) error) error {
	return walkBelow(dir, "", visit)
}

func walkBelow(dir int, prefix string, visit func(name string, fd int) error) (err error) {
	restore, err := readable(dir)
	if err != nil {
		return fmt.Errorf("make the directory %q readable: %w", path.Clean(prefix), err)
	}
	defer func() { err = errors.Join(err, restore()) }()
	names, err := Names(dir)
	if err != nil {
		return fmt.Errorf("read the directory %q: %w", path.Clean(prefix), err)
	}
	for _, name := range names {
		if err := walkEntry(dir, prefix, name, visit); err != nil {
			return err
		}
	}
	return nil
}

func walkEntry(dir int, prefix, name string, visit func(name string, fd int) error) error {
	inside := path.Join(prefix, name)
	fd, err := OpenBeneath(dir, name, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if errors.Is(err, unix.EXDEV) {
		return fmt.Errorf("open %q: something is mounted there, which is not part of this tree: "+
			"unmount it, or leave the mount out (open_tree(2) without AT_RECURSIVE)", inside)
	}
	if err != nil {
		return fmt.Errorf("open %q: %w", inside, err)
	}
	defer unix.Close(fd)
	if err := visit(inside, fd); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("stat %q: %w", inside, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	return walkBelow(fd, inside, visit)
}

// Names returns the names in a directory, in the order of their bytes.
func Names(dir int) ([]string, error) {
	file, err := os.Open(FDPath(dir))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names, err := file.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// ReadLink returns the target of the symbolic link that fd refers to.
func ReadLink(fd int) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", target)
	return string(target[:max(n, 0)]), err
}

// FDPath is a path that leads to the file that a descriptor refers to, for calls that take none.
func FDPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// readable lets an ordinary user read a file or directory of his own whose mode forbids it,
// until it is restored: root in a container reads it all the same.
func readable(fd int) (restore func() error, err error) {
	nothing := func() error { return nil }
	if os.Geteuid() == 0 {
		return nothing, nil
	}
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return nil, err
	}
	mode := st.Mode & 0o7777
	isFile := st.Mode&unix.S_IFMT == unix.S_IFREG
	if int(st.Uid) != os.Geteuid() || mode&0o500 == 0o500 || mode&0o400 != 0 && isFile {
		return nothing, nil
	}
	return func() error { return unix.Chmod(FDPath(fd), mode) }, unix.Chmod(FDPath(fd), mode|0o500)
}

// Size returns the bytes of a file, or adds up those of the regular files below a directory. Of a
// file with several names, each counts for its part.
func Size(path string) (bytes int64, err error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode().IsRegular() {
		return info.Size(), nil
	}
	dir, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	err = Walk(int(dir.Fd()), func(_ string, fd int) error {
		var st unix.Stat_t
		err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH)
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			bytes += st.Size / int64(max(1, st.Nlink))
		}
		return nil // it may be gone
	})
	return bytes, err
}

// Sync brings everything that was written on a directory's file system to the disk (syncfs(2)).
func Sync(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	return about("syncfs", dir, unix.Syncfs(int(file.Fd())))
}

// about says which operation on which file has failed.
func about(operation, path string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %q: %w", operation, path, err)
	}
	return nil
}

// CheckDir returns an error for anything but a directory; a link to one is an error too.
func CheckDir(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
	}
	return err
}
