// Package rootdir looks from outside into a directory that is a container's root, or is to become
// one: whether it can, and what a process inside would find under a path (path_resolution(7),
// openat2(2)). Nothing in a root is trusted: no link in it leads out. No lesson reads it.
package rootdir

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Check returns the path of a directory without links. One that cannot be a root is an error,
// which speaks of the flag --rootfs.
func Check(dir string) (string, error) {
	real, err := filepath.Abs(dir)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err == nil {
		_, err = os.ReadDir(real)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("--rootfs %s: there is no such directory; box rootfs %[1]s makes a small one of the host's own programs", dir)
	case errors.Is(err, unix.ENOTDIR):
		return "", fmt.Errorf("--rootfs %s: it is a file, and a root is a directory; tar -x unpacks an archive into one", dir)
	case err != nil:
		return "", fmt.Errorf("--rootfs %s: %w", dir, err)
	}
	return real, nil
}

// RefuseEmpty refuses an empty directory of --rootfs. Of an image's layers the lowest may be empty,
// or all: mounts, or files that are copied into the container, then bring what runs.
func RefuseEmpty(dir string) error {
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return nil // Check returns the error
	}
	return fmt.Errorf("--rootfs %s: it is empty, so there is nothing to run in it; box rootfs %[1]s fills it", dir)
}

// CheckWorkdir refuses a directory of --workdir that is relative: to nothing, as inside begins with it.
func CheckWorkdir(dir string) error {
	if !path.IsAbs(dir) {
		return fmt.Errorf("--workdir %s: it must be an absolute path inside", dir)
	}
	return nil
}

// Open opens a file of a root as a process inside would. Magic links, such as /proc/PID/fd/N, are
// never followed. Flags are those of open(2).
func Open(root, name string, flags uint64) (fd int, err error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err = unix.Openat2(dir, name, &how)
	for err == unix.EAGAIN { // something was renamed or mounted meanwhile
		fd, err = unix.Openat2(dir, name, &how)
	}
	return fd, err
}

// Target returns the target of a symbolic link to a file that does not exist, and any other path as
// it is. open is Open of the root, or another function that does the same.
func Target(name string, open func(name string, flags uint64) (fd int, err error)) string {
	link, err := open(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return name
	}
	defer unix.Close(link)
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(link, "", target)
	if err != nil { // it is not a link
		return name
	}
	if file, err := open(name, unix.O_PATH); err == nil {
		unix.Close(file)
		return name
	}
	if path.IsAbs(string(target[:n])) {
		return path.Clean(string(target[:n]))
	}
	return path.Join(path.Dir(name), string(target[:n]))
}

// Mode returns the mode of a directory, in octal; 1777 if there is none. open is as for Target.
func Mode(dir string, open func(name string, flags uint64) (fd int, err error)) string {
	fd, err := open(dir, unix.O_PATH)
	if err != nil {
		return "1777"
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return "1777"
	}
	return fmt.Sprintf("%o", st.Mode&0o7777)
}
