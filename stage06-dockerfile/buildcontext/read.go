package buildcontext

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// MaxFile is how large a Dockerfile or a file of patterns may be, in bytes.
const MaxFile = 1 << 20

// read reads a small file of the context. Links in it lead only to files of the context.
func (c *Context) read(rel string) ([]byte, error) {
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return readRegular(root.OpenFile(filepath.Clean(rel), unix.O_RDONLY|unix.O_NONBLOCK, 0))
}

// readRegular reads a small regular file that was opened without waiting, and closes it. A FIFO
// would be waited for, and a device could be without end.
func readRegular(file *os.File, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return readAll(file)
}

// readAll reads to the end, which must come soon.
func readAll(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = errors.New("it is larger than 1 MiB")
	}
	return data, err
}

// ReadFile reads a small file of the caller's, which may be a pipe that a program has yet to open
// or to write to. When ctx ends, it is not waited for any longer.
func ReadFile(ctx context.Context, name string) ([]byte, error) {
	done := make(chan read, 1)
	go func() {
		file, err := os.Open(name)
		var data []byte
		if err == nil {
			data, err = readAll(file)
			err = errors.Join(err, file.Close())
		}
		done <- read{data, err}
	}()
	select {
	case got := <-done:
		return got.data, got.err
	case <-ctx.Done():
		return nil, errInterrupted
	}
}

var errInterrupted = errors.New("the build was interrupted")

// Reader returns a reader that stops when ctx ends, also while it waits for data. A read of from
// may then still be going on.
func Reader(ctx context.Context, from io.Reader) io.Reader {
	return &reader{ctx: ctx, from: from, data: make(chan read, 1)}
}

type reader struct {
	ctx  context.Context
	from io.Reader
	data chan read
	rest []byte
	err  error
	next []byte // the buffer that is not in use
}

type read struct {
	data []byte
	err  error
}

func (r *reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && r.err == nil {
		buffer := make([]byte, 256<<10)
		if r.next != nil {
			buffer = r.next
		}
		go func() {
			n, err := r.from.Read(buffer)
			r.data <- read{buffer[:n], err}
		}()
		select {
		case got := <-r.data:
			r.rest, r.err, r.next = got.data, got.err, buffer
		case <-r.ctx.Done():
			return 0, errInterrupted
		}
	}
	n := copy(p, r.rest)
	if r.rest = r.rest[n:]; n == 0 {
		return 0, r.err
	}
	return n, nil
}

func about(operation, path string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %s: %w", operation, path, err)
	}
	return nil
}
