package union

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// LayerDir checks a directory that is to be a layer, and returns its path without links.
func LayerDir(dir string) (string, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return "", errors.New("there is no such directory")
	case errors.Is(err, unix.ENOTDIR):
		return "", errors.New("it is a file, and a layer is a directory; " +
			"tar -x unpacks an archive into one")
	case err != nil:
		return "", err
	}
	defer unix.Close(fd)
	return os.Readlink(files.FDPath(fd))
}

// CheckApart refuses a layer that is another one or inside it: the kernel's behavior would be
// undefined. The paths are without links.
func CheckApart(layers []string) error {
	var paths []string
	for _, layer := range layers {
		paths = append(paths, layer+"/")
	}
	slices.Sort(paths) // what is inside comes right after
	for i := 1; i < len(paths); i++ {
		if strings.HasPrefix(paths[i], paths[i-1]) {
			return fmt.Errorf("the layer %s is the same as the layer %s, or inside it: "+
				"give each directory once", paths[i], paths[i-1])
		}
	}
	return nil
}

// MakeMountPoints makes the layer below all others: the files and directories that every container
// mounts something on. A root that lacks one of them need not be changed for it.
func MakeMountPoints(dir string) error {
	for _, name := range []string{"", "etc", "etc/hostname", "etc/hosts", "etc/resolv.conf",
		"dev", "proc", "sys"} {
		path, isFile := filepath.Join(dir, name), strings.HasPrefix(name, "etc/")
		info, err := os.Lstat(path)
		switch {
		case err == nil && (isFile != info.Mode().IsRegular() || isFile == info.IsDir()):
			err = fmt.Errorf("%s: unexpected type of file: remove it", path)
		case err == nil:
			continue
		case isFile:
			err = os.WriteFile(path, nil, 0o644)
		default:
			err = cmp.Or(os.MkdirAll(path, 0o755), os.Chmod(path, 0o755)) // whatever the umask
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CopyMode gives a directory the mode of another one, and its owner if the caller is root.
func CopyMode(from, to string) error {
	var st unix.Stat_t
	if err := unix.Stat(from, &st); err != nil {
		return fmt.Errorf("stat(%q): %w", from, err)
	}
	if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
		return fmt.Errorf("chmod(%q): %w", to, err)
	}
	if os.Geteuid() != 0 {
		return nil
	}
	if err := unix.Chown(to, int(st.Uid), int(st.Gid)); err != nil {
		return fmt.Errorf("chown(%q): %w", to, err)
	}
	return nil
}

// WhyInvalid is a hint for an overlay that the kernel refuses with EINVAL. It names the file system
// that an overlay cannot lie on, where the one of the upper directory is the cause.
func WhyInvalid(upper string) string {
	var fs unix.Statfs_t
	err := unix.Statfs(filepath.Dir(filepath.Dir(upper)), &fs)
	if err == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return upper + " is on an overlay itself, perhaps inside a container, " +
			"and that cannot carry the writable layer of another:\n" +
			"     put the store elsewhere: --root on a volume or a tmpfs"
	}
	return "one of these directories is on a file system that an overlay cannot lie on; " +
		"the kernel's log (dmesg) says which"
}
