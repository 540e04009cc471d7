package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// IsDirIn reports whether a path in a directory is one too. No link leads out of it: that is an
// error, as a missing file is.
func IsDirIn(dir, path string) (bool, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	info, err := root.Stat(path)
	return err == nil && info.IsDir(), err
}

// IsEmpty reports whether a path is a directory that holds nothing.
func IsEmpty(path string) bool {
	dir, err := os.Open(path)
	if err != nil {
		return false
	}
	defer dir.Close()
	_, err = dir.Readdirnames(1)
	return err == io.EOF
}

// MoveInto moves what a directory holds into another one on the same file system, which then gets
// its attributes. A name that is taken there stays. It is not an error that the directory is gone.
func MoveInto(to, from string) error {
	dir, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		errMove := unix.Renameat2(unix.AT_FDCWD, filepath.Join(from, name),
			unix.AT_FDCWD, filepath.Join(to, name), unix.RENAME_NOREPLACE)
		if !errors.Is(errMove, unix.EEXIST) {
			err = errors.Join(err, about("move", name, errMove))
		}
	}
	if err != nil {
		return err
	}
	target, err := os.Open(to)
	if err != nil {
		return err
	}
	defer target.Close()
	return NewCopier(int(target.Fd())).Attributes(int(dir.Fd()), ".")
}
