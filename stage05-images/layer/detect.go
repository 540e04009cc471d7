// Finding out whether a file is a layer, from its first bytes.

package layer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"
	"os/exec"

	"github.com/klauspost/compress/zstd"
)

// IsLayer reports whether a file is a tar file, compressed or not. An empty tar file is one, and so
// is one that Decompress refuses for the memory it asks for, or because the program xz is missing.
// All of r can still be read afterwards; its buffer should have 256 KiB.
func IsLayer(r *bufio.Reader) bool {
	err := FirstHeader(r)
	return err == nil || err == io.EOF || errors.Is(err, zstd.ErrWindowSizeExceeded) ||
		errors.Is(err, exec.ErrNotFound)
}

// OpenTar opens a tar archive, and takes its compression off, if it has one.
func OpenTar(in io.Reader) (io.ReadCloser, error) {
	stream, _, err := Decompress(in)
	if err != nil {
		return nil, err
	}
	files := bufio.NewReaderSize(stream, 256<<10)
	if !IsLayer(files) {
		stream.Close()
		return nil, errors.New("not a tar archive")
	}
	return struct {
		io.Reader
		io.Closer
	}{files, stream}, nil
}

// FirstHeader returns an error unless a file begins with the header of a tar file, compressed or
// not: io.EOF for an empty tar file. A block of zstd, or a header with pax records, may be larger
// than 64 KiB. All of r can still be read afterwards.
func FirstHeader(r *bufio.Reader) error {
	begin, _ := r.Peek(256 << 10) // or less, if the file has less
	if len(begin) == 0 {
		return tar.ErrHeader
	}
	stream, compression, err := Decompress(bytes.NewReader(begin))
	if err != nil {
		return err
	}
	defer stream.Close()
	return readOnce(stream, compression, func(content io.Reader) error {
		_, err := tar.NewReader(content).Next()
		return err
	})
}
