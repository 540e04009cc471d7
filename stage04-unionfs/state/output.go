package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// Output calls write with the file that a user has named for a command's output. Standard output
// is the empty name, "-" and /dev/stdout; /dev/fd/N is a descriptor that the caller has passed on.
// A FIFO is opened and written to. A regular file is replaced once all of it is written, or made;
// the file that a symbolic link leads to is replaced where it is. A directory, a device or a
// socket is an error, before write is called.
func Output(name string, d Durability, write func(*os.File) error) error {
	path, mode, err := output(name)
	if err != nil {
		return fmt.Errorf("output file %q: %w", name, err)
	}
	if fd, is := descriptor(path); is {
		return writeDescriptor(fd, path, write)
	}
	if mode&fs.ModeNamedPipe != 0 {
		return writeFIFO(path, write)
	}
	dir := dirOf(path)
	if err := Sweep(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	out, err := Create(dir)
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		failed.Op, failed.Path = "make a file in", filepath.Clean(dir) // its name of the moment says nothing to the user
	}
	if err != nil {
		return fmt.Errorf("output file %q: %w", name, err)
	}
	if err := write(out.File); err != nil {
		return errors.Join(err, out.Discard())
	}
	return out.Commit(path, mode, d)
}

// CheckOutput returns the error that Output would return before it calls write, for a command
// that has a lot to do before it has something to write.
func CheckOutput(name string) error {
	path, _, err := output(name)
	if _, is := descriptor(path); err == nil && !is {
		_, err = os.Stat(dirOf(path))
	}
	if err != nil {
		return fmt.Errorf("output file %q: %w", name, err)
	}
	return nil
}

// output returns the path or descriptor to write for a name, and its mode.
func output(name string) (path string, mode fs.FileMode, err error) {
	path, err = resolve(name)
	if _, is := descriptor(path); err == nil && !is {
		mode, err = outputMode(path)
	}
	return path, mode, err
}

// IsStdout reports whether Output writes to standard output.
func IsStdout(name string) bool {
	path, err := resolve(name)
	fd, is := descriptor(path)
	return err == nil && is && fd == 1
}

// Compiled when it is needed: a start of box would spend time on it.
var ofDescriptor = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^/(dev|proc/self)/fd/([0-9]+)$`)
})

// descriptor returns the descriptor that a name means. Its link in /proc is not followed: what
// that leads to may have no path, as a pipe has none.
func descriptor(name string) (fd int, is bool) {
	switch name {
	case "", "-", "/dev/stdout":
		return 1, true
	case "/dev/stderr":
		return 2, true
	}
	if parts := ofDescriptor().FindStringSubmatch(name); parts != nil {
		fd, err := strconv.Atoi(parts[2])
		return fd, err == nil
	}
	return -1, false
}

func writeDescriptor(fd int, name string, write func(*os.File) error) error {
	if fd == 1 {
		return write(os.Stdout)
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: name, Err: err}
	}
	out := os.NewFile(uintptr(own), name)
	return errors.Join(write(out), out.Close())
}

// outputMode returns the mode for a path: that of the file there, or that of a new one.
func outputMode(path string) (fs.FileMode, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		umask, err := files.Umask()
		return 0o666 &^ umask, err
	}
	if err != nil {
		return 0, err
	}
	kind := "a special file"
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return mode.Perm(), nil
	case mode.Type() == fs.ModeNamedPipe:
		return mode, nil
	case mode.IsDir():
		kind = "a directory"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	}
	return 0, fmt.Errorf("it is %s; give a regular file, a FIFO, or - for standard output", kind)
}

func writeFIFO(path string, write func(*os.File) error) error {
	out, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(out), out.Close())
}

// OutputPath returns the path to write when a user has named a file that is always replaced: the
// name itself, or what it leads to if it is a symbolic link, whether that exists or not. A name of
// something other than a regular file is an error.
func OutputPath(name string) (string, error) {
	path, err := resolve(name)
	if err == nil {
		err = replaceable(path)
	}
	return path, err
}

// resolve follows symbolic links, to a path that is not a link or does not exist, or to a descriptor.
func resolve(name string) (string, error) {
	path := name
	for range 40 { // as many links as the kernel follows (path_resolution(7))
		to, err := os.Readlink(path)
		if _, is := descriptor(path); is || err != nil { // no link, or nothing
			return path, nil
		}
		if dir, _ := filepath.Split(path); !filepath.IsAbs(to) {
			to = dir + to
		}
		path = to
	}
	return "", &fs.PathError{Op: "open", Path: name, Err: unix.ELOOP}
}
