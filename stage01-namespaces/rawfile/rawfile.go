// Package rawfile opens and reads files of /proc, /sys and a disk with open(2) and read(2) alone.
// os.Open offers each file to the runtime's poller first: five more system calls, for nothing, as
// these files never make a reader wait. box opens some thirty before a container starts. No lesson
// reads it.
package rawfile

import (
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Open opens a file as os.OpenFile does. Flags and mode are those of open(2); the descriptor is
// closed by execve. Calls that block, as those of a FIFO do, cannot be interrupted by Close.
func Open(path string, flags int, mode uint32) (*os.File, error) {
	fd, err := open(path, flags, mode)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Read returns the content of a file, as os.ReadFile does.
func Read(path string) ([]byte, error) {
	return Append(make([]byte, 0, 2048), path) // most are smaller
}

// Append appends the content of a file to data. After an error it returns nil.
func Append(data []byte, path string) ([]byte, error) {
	fd, err := open(path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for {
		if len(data) == cap(data) {
			data = slices.Grow(data, max(len(data), 512))
		}
		n, err := unix.Read(fd, data[len(data):cap(data)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return data, nil
		}
		data = data[:len(data)+n]
	}
}

func open(path string, flags int, mode uint32) (fd int, err error) {
	for err = unix.EINTR; err == unix.EINTR; {
		fd, err = unix.Open(path, flags|unix.O_CLOEXEC, mode)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}
