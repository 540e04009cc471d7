package files

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Archive is a tar stream that is being written, in the pax format (pax(1), tar(5)): for each
// file a header block, records for what does not fit into it (long names, fractions of seconds,
// extended attributes), and the content. The same files give the same bytes on any machine.
type Archive struct {
	*buffers // until Close

	tar   *tar.Writer
	names map[ID]string // of files that have several, the one that came first
}

// buffers are those of an archive. A build packs a layer after each step, most of them small, and
// the next one uses them again.
type buffers struct {
	out     *bufio.Writer
	content []byte
}

var unused = sync.Pool{New: func() any {
	return &buffers{bufio.NewWriterSize(nil, 1<<20), make([]byte, 1<<18)}
}}

// ID identifies a file, whatever its name: the device that it is on, and its inode number.
type ID struct{ Dev, Ino uint64 }

// IDOf is the ID of a file that stat(2) has described.
func IDOf(st *unix.Stat_t) ID { return ID{uint64(st.Dev), st.Ino} }

// NewArchive makes an archive without files. Its output is buffered until Close.
func NewArchive(w io.Writer) *Archive {
	b := unused.Get().(*buffers)
	b.out.Reset(w)
	return &Archive{b, tar.NewWriter(b.out), map[ID]string{}}
}

// Add writes the file that fd refers to, an O_PATH|O_NOFOLLOW descriptor. The name is the
// path inside, such as etc/passwd. A socket is left out: tar has no type for one, and
// without its server it is nothing.
func (a *Archive) Add(name string, fd int) error {
	header, id, err := Describe(name, fd)
	if err != nil || header == nil {
		return err
	}
	return a.Write(header, id, fd)
}

// Write writes a header, which is Describe's or made from it, and the content of the file that
// fd refers to. A file whose ID an earlier entry had becomes a link to that.
func (a *Archive) Write(header *tar.Header, id ID, fd int) error {
	if first := a.names[id]; first != "" {
		header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
		clear(header.PAXRecords)
	} else if id.Ino != 0 {
		a.names[id] = header.Name
	}
	if err := a.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("archive %q: %w", header.Name, err)
	}
	if header.Typeflag != tar.TypeReg || header.Size == 0 {
		return nil
	}
	return a.copy(header, fd)
}

// copy copies as many bytes as the header has announced.
func (a *Archive) copy(header *tar.Header, fd int) (err error) {
	restore, err := readable(fd)
	if err != nil {
		return fmt.Errorf("make %q readable: %w", header.Name, err)
	}
	defer func() { err = errors.Join(err, restore()) }()
	file, err := os.Open(FDPath(fd))
	if err != nil {
		return fmt.Errorf("open %q: %w", header.Name, err)
	}
	defer file.Close()
	for left := header.Size; left > 0; {
		n, err := file.Read(a.content[:min(left, int64(len(a.content)))])
		if err == io.EOF {
			return fmt.Errorf("read %q: it shrank while it was read; stop or pause the container, and try again", header.Name)
		}
		if err == nil {
			_, err = a.tar.Write(a.content[:n])
		}
		if err != nil {
			return fmt.Errorf("archive %q: %w", header.Name, err)
		}
		left -= int64(n)
	}
	return nil
}

// Close ends the stream with the two empty blocks that tar wants. It does not close the writer
// below it.
func (a *Archive) Close() error {
	if err := a.tar.Close(); err != nil {
		return fmt.Errorf("end of the archive: %w", err)
	}
	if a.buffers == nil { // closed before
		return nil
	}
	if err := a.out.Flush(); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	a.out.Reset(nil)
	unused.Put(a.buffers)
	a.buffers = nil
	return nil
}

// TarType is the type of an entry for a file with this mode (inode(7)); tar has none for
// sockets.
func TarType(mode uint32) (kind byte, ok bool) {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return tar.TypeReg, true
	case unix.S_IFDIR:
		return tar.TypeDir, true
	case unix.S_IFLNK:
		return tar.TypeSymlink, true
	case unix.S_IFCHR:
		return tar.TypeChar, true
	case unix.S_IFBLK:
		return tar.TypeBlock, true
	case unix.S_IFIFO:
		return tar.TypeFifo, true
	}
	return 0, false
}

// Describe makes the header of the file that fd refers to, an O_PATH|O_NOFOLLOW descriptor. It
// is nil for a socket. The ID is zero unless the file has several names.
func Describe(name string, fd int) (*tar.Header, ID, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return nil, ID{}, fmt.Errorf("stat %q: %w", name, err)
	}
	kind, known := TarType(st.Mode)
	if !known {
		return nil, ID{}, nil
	}
	h := &tar.Header{Format: tar.FormatPAX, Typeflag: kind, Name: name,
		Mode: int64(st.Mode & 0o7777), ModTime: time.Unix(st.Mtim.Unix()),
		Uid: insideID(st.Uid, os.Geteuid()), Gid: insideID(st.Gid, os.Getegid())}
	var id ID
	if kind != tar.TypeDir && st.Nlink > 1 {
		id = IDOf(&st)
	}
	var err error
	switch kind {
	case tar.TypeDir:
		h.Name += "/"
	case tar.TypeReg:
		h.Size = st.Size
	case tar.TypeSymlink:
		h.Linkname, err = ReadLink(fd)
	case tar.TypeChar, tar.TypeBlock:
		device := uint64(st.Rdev)
		h.Devmajor, h.Devminor = int64(unix.Major(device)), int64(unix.Minor(device))
	}
	if err == nil && (kind == tar.TypeReg || kind == tar.TypeDir) {
		h.PAXRecords, err = XattrRecords(fd)
	}
	if err != nil {
		return nil, id, fmt.Errorf("read %q: %w", name, err)
	}
	return h, id, nil
}

// insideID is an owner as the container sees it: the files of an ordinary user are root's there.
func insideID(id uint32, caller int) int {
	if int(id) == caller {
		return 0
	}
	return int(id)
}
