// Archives: their files are laid over those of the layers. Links of the archive, and those of
// the layers, are followed as if the destination were the root of everything. A layer, which is
// unpacked by the same layer.Extractor, follows none.

package copyup

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/layer"
)

// unpacking is an archive that is being unpacked.
type unpacking struct {
	*Writer
	root  string // the destination
	who   *Owner
	limit layer.Limit
	tar   *layer.Extractor
	times map[string]time.Time // of directories: set when nothing is put into them any more
	bytes int64
	files int64
}

// Unpack puts the files of a tar stream into the directory to, which is made if it is missing.
// Their owner is who, or if that is nil the archive's.
func (w *Writer) Unpack(stream io.Reader, to string, who *Owner, limit layer.Limit) error {
	defer func(mode uint32) { w.NewMode = mode }(w.NewMode)
	w.NewMode = 0o755
	u := &unpacking{Writer: w, who: who, limit: limit, times: map[string]time.Time{}}
	var err error
	if u.root, err = w.Resolve(to, true, u.owner()); err != nil {
		return err
	}
	u.tar = layer.NewExtractor(stream)
	return u.all()
}

// UnpackFile unpacks a file, if it is an archive, which may be compressed. It returns false for one that
// is not, and for one that begins with zeros, as the image of a disk may.
func (w *Writer) UnpackFile(n *union.Node, to string, who *Owner, limit layer.Limit) (bool, error) {
	if !n.Is(unix.S_IFREG) || n.Size == 0 {
		return false, nil
	}
	fd, err := n.Open(unix.O_RDONLY)
	if err != nil {
		return false, err
	}
	file := os.NewFile(uintptr(fd), n.Path())
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	err = layer.FirstHeader(in)
	if errors.Is(err, exec.ErrNotFound) {
		return true, err
	}
	if err != nil {
		return false, nil
	}
	stream, _, err := layer.Decompress(in)
	if err != nil {
		return true, err
	}
	defer stream.Close()
	return true, w.Unpack(stream, to, who, limit)
}

// owner is the owner of new directories.
func (u *unpacking) owner() Owner {
	if u.who == nil {
		return Owner{}
	}
	return *u.who
}

func (u *unpacking) all() error {
	for {
		header, err := u.tar.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			u.files++
			u.bytes += header.Size
			err = u.limit(u.bytes, u.files)
		}
		if err == nil {
			err = u.entry(header)
		}
		if err != nil {
			return fmt.Errorf("the archive: %w", err)
		}
	}
	for dir, at := range u.times {
		err := u.setTimes(dir, timespec(at), timespec(at))
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

// entry makes one file.
func (u *unpacking) entry(h *tar.Header) error {
	name := path.Clean("/" + h.Name)
	if name == "/" || h.Typeflag == tar.TypeXGlobalHeader { // a comment on the archive, such as git's
		return nil
	}
	if err := layer.CheckIDs(h); err != nil {
		return err
	}
	if h.ModTime.Unix() < 0 {
		h.ModTime = time.Unix(0, 0)
	}
	dir, err := u.resolveIn(u.root, path.Dir(name), true, Owner{})
	if err != nil {
		return err
	}
	target := path.Join(dir, path.Base(name))
	if err := u.make(h, target); err != nil {
		return about("unpack", h.Name, err)
	}
	st, _, err := u.Stat(target)
	if err != nil || h.Typeflag == tar.TypeLink && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return err
	}
	return u.attributes(h, target)
}

func (u *unpacking) make(h *tar.Header, target string) error {
	if h.Typeflag == tar.TypeDir {
		return u.directory(target)
	}
	if err := u.replace(target); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return u.link(h, target)
	}
	return u.tar.Create(u.Root, target, h, 0o600)
}

// directory makes a directory, in place of anything else.
func (u *unpacking) directory(target string) error {
	st, _, err := u.Stat(target)
	if err != nil {
		return err
	}
	if isOther(&st) {
		if err := u.replace(target); err != nil {
			return err
		}
		st.Mode = 0
	}
	return u.Mkdir(target, st.Mode != 0, u.owner())
}

// link gives a file of this archive, or one of the layers, another name.
func (u *unpacking) link(h *tar.Header, target string) error {
	dir, err := u.resolveIn(u.root, path.Dir(path.Clean("/"+h.Linkname)), false, u.owner())
	if err != nil {
		return err
	}
	first := path.Join(dir, path.Base(h.Linkname))
	err = unix.Linkat(u.Root, first, u.Root, target, 0)
	if err != unix.ENOENT {
		return err
	}
	n, err := u.below.node(first) // a link across layers is a copy
	if err != nil {
		return err
	}
	return u.Put(n, target)
}

func (u *unpacking) attributes(h *tar.Header, target string) error {
	who, mode := Owner{h.Uid, h.Gid}, uint32(h.Mode)&0o7777
	if u.who != nil {
		who = *u.who
	}
	if h.Typeflag == tar.TypeDir {
		mode = u.dirMode(target, mode)
	}
	if err := u.own(target, who); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeDir {
		if err := u.capabilities(h, target); err != nil {
			return err
		}
	}
	if h.Typeflag != tar.TypeSymlink { // --chmod is not for files of archives
		if err := unix.Fchmodat(u.Root, target, mode, 0); err != nil {
			return about("chmod", target, err)
		}
	}
	if h.Typeflag == tar.TypeDir {
		u.keepChanged(target)
		u.times[target] = h.ModTime
		return nil
	}
	return u.setTimes(target, timespec(h.ModTime), timespec(h.ModTime))
}

// capabilities sets the one extended attribute that an archive may bring.
func (u *unpacking) capabilities(h *tar.Header, target string) error {
	const name = "security.capability"
	value, is := h.PAXRecords[files.XattrPrefix+name]
	if !is {
		return nil
	}
	fd, err := unix.Openat(u.Root, target, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", target, err)
	}
	defer unix.Close(fd)
	err = unix.Setxattr(files.FDPath(fd), name, []byte(value), 0)
	if err != nil && err != unix.EPERM && err != unix.ENOTSUP {
		return about("setxattr "+name, target, err)
	}
	return nil
}
