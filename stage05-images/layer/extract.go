// Making the file that a tar header describes. unpack.go decides where it goes, and sets its owner,
// mode and times.

package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Extractor reads a tar stream, and makes its files where the caller says. Unpack is its first
// caller; ADD of an archive, in a later stage, has its own rules about names, links and owners.
type Extractor struct {
	*tar.Reader

	buffer []byte
}

// NewExtractor returns an Extractor for an uncompressed tar stream.
func NewExtractor(r io.Reader) *Extractor {
	return &Extractor{tar.NewReader(r), make([]byte, 1<<20)}
}

// Create makes the file that the latest header describes, neither a directory nor a hard link, at
// name below a directory. A regular file gets the mode perm, as far as the umask allows it, and its
// content. Owner, other modes, attributes and times are the caller's to set. If something has this
// name already, the error is EEXIST; a link is not followed.
func (x *Extractor) Create(dir int, name string, h *tar.Header, perm uint32) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
		fd, err := unix.Openat(dir, name, flags, perm)
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(fd), name)
		return errors.Join(x.content(file, h), file.Close())
	case tar.TypeSymlink:
		return unix.Symlinkat(h.Linkname, dir, name)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		device := unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))
		return unix.Mknodat(dir, name, nodeKind(h)|0o600, int(device))
	}
	return fmt.Errorf("unknown kind of file %q", h.Typeflag)
}

// nodeKind is the kind of a device or pipe, as in mknod(2).
func nodeKind(h *tar.Header) uint32 {
	switch h.Typeflag {
	case tar.TypeChar:
		return unix.S_IFCHR
	case tar.TypeBlock:
		return unix.S_IFBLK
	}
	return unix.S_IFIFO
}

// content writes as many bytes as the header has announced. A file that had holes (in GNU's old
// notation, or its newer ones) gets them back where there are only zeros.
func (x *Extractor) content(file *os.File, h *tar.Header) error {
	sparse := h.Typeflag == tar.TypeGNUSparse || hasRecord(h, "GNU.sparse.")
	buffer := x.buffer
	if sparse {
		buffer = buffer[:1<<16]
	}
	for left := h.Size; left > 0; {
		n, err := io.ReadFull(x.Reader, buffer[:min(left, int64(len(buffer)))])
		if err != nil {
			return contentError{err}
		}
		if left -= int64(n); sparse && len(bytes.TrimLeft(buffer[:n], "\x00")) == 0 {
			_, err = file.Seek(int64(n), io.SeekCurrent)
		} else {
			_, err = file.Write(buffer[:n])
		}
		if err != nil {
			return err
		}
	}
	if sparse {
		return file.Truncate(h.Size)
	}
	return nil
}

// contentError is one of the archive, and not of the file that is written.
type contentError struct{ error }

func (e contentError) Unwrap() error { return e.error }

// hasRecord reports whether a header has a pax record with a name that begins so.
func hasRecord(h *tar.Header, prefix string) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
