package crosscopy

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// unpacker makes the files of a tar stream below a directory. Existing files stay, unless the
// stream has a file of its name.
type unpacker struct {
	dir    int
	owners bool // give the files the owners of the stream; else they are the caller's
	bytes  int64
	later  []*tar.Header // directories, whose times are set when they are full
}

// Unpack makes the files of a tar stream in the place, and returns how many bytes Docker would
// count: the files in blocks of tar. An ordinary user cannot give files away.
func (p *Place) Unpack(r io.Reader, owners bool) (bytes int64, err error) {
	u := &unpacker{dir: p.dir, owners: owners && os.Geteuid() == 0, bytes: 1024}
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return u.bytes, u.setTimes()
		}
		if err != nil {
			return u.bytes, fmt.Errorf("the archive: %w", err)
		}
		u.bytes += 512 + (h.Size+511)/512*512
		if err := u.entry(h, archive); err != nil {
			return u.bytes, fmt.Errorf("unpack %q: %w", h.Name, err)
		}
	}
}

// entry makes one file.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	name := path.Clean(h.Name)
	if name == "." || name == "/" { // the directory itself keeps what it has
		return nil
	}
	parent, err := u.parent(strings.TrimPrefix(name, "/"))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	name = path.Base(name)
	var st unix.Stat_t
	err = unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	there := err == nil
	switch {
	case err != nil && err != unix.ENOENT:
		return err
	case there && isDir(&st) != (h.Typeflag == tar.TypeDir):
		return errOverwrite
	case there && !isDir(&st) && isMount(parent, name):
		return u.overwrite(h, parent, name, content)
	case there && !isDir(&st):
		if err := unix.Unlinkat(parent, name, 0); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeLink {
		return u.link(h, parent, name)
	}
	fd, err := u.make(h, parent, name, there && isDir(&st), content)
	if err != nil || fd < 0 {
		return err
	}
	defer unix.Close(fd)
	return u.attributes(h, fd)
}

// parent opens the directory that a name is in, and makes the missing ones. No link is followed.
func (u *unpacker) parent(name string) (int, error) {
	if !filepath.IsLocal(name) {
		return -1, errors.New("the name leads out of the archive")
	}
	fd, err := unix.Openat(u.dir, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for _, part := range strings.Split(path.Dir(name), "/") {
		if err != nil {
			return -1, err
		}
		const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		next, errOpen := unix.Openat(fd, part, flags, 0)
		if errOpen == unix.ENOENT {
			if errOpen = unix.Mkdirat(fd, part, 0o755); errOpen == nil || errOpen == unix.EEXIST {
				next, errOpen = unix.Openat(fd, part, flags, 0)
			}
		}
		unix.Close(fd)
		fd, err = next, errOpen
	}
	return fd, err
}

// make makes a file, and returns a descriptor of it; -1 for a kind that is left out.
func (u *unpacker) make(h *tar.Header, parent int, name string, there bool, content io.Reader) (int, error) {
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		if !there {
			err = unix.Mkdirat(parent, name, 0o700)
		}
		u.later = append(u.later, h)
	case tar.TypeReg:
		fd, err := unix.Openat(parent, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return -1, err
		}
		return fd, fill(fd, name, content)
	case tar.TypeSymlink:
		err = unix.Symlinkat(h.Linkname, parent, name)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		kind := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}[h.Typeflag]
		err = unix.Mknodat(parent, name, kind|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
	default:
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	return unix.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// fill writes a file's content.
func fill(fd int, name string, content io.Reader) error {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(own), name)
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// isMount reports whether a file is on another mount than its directory. To remove it would take
// the mount away from a container, which the kernel lets processes of other mount namespaces do.
func isMount(parent int, name string) bool {
	var dir, file unix.Statx_t
	err := unix.Statx(parent, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &dir)
	if err == nil {
		err = unix.Statx(parent, name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &file)
	}
	return err != nil || dir.Mnt_id != file.Mnt_id
}

// overwrite writes into the regular file of a mount, which cannot be replaced.
func (u *unpacker) overwrite(h *tar.Header, parent int, name string, content io.Reader) error {
	if h.Typeflag != tar.TypeReg {
		return unix.EBUSY
	}
	fd, err := unix.Openat(parent, name, unix.O_WRONLY|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(fill(fd, name, content), unix.Close(fd))
}

// link makes another name for a file of the archive.
func (u *unpacker) link(h *tar.Header, parent int, name string) error {
	first := strings.TrimPrefix(path.Clean(h.Linkname), "/")
	dir, err := u.parent(first)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return unix.Linkat(dir, path.Base(first), parent, name, 0)
}

// attributes gives a file its owner, then its mode, which a change of owner takes bits from, then
// extended attributes and times.
func (u *unpacker) attributes(h *tar.Header, fd int) error {
	if u.owners {
		err := unix.Fchownat(fd, "", h.Uid, h.Gid, unix.AT_EMPTY_PATH)
		if err != nil && err != unix.EINVAL { // a user that a user namespace lacks
			return err
		}
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	if err := unix.Chmod(files.FDPath(fd), uint32(h.Mode)&0o7777); err != nil {
		return err
	}
	for key, value := range h.PAXRecords {
		name, is := strings.CutPrefix(key, files.XattrPrefix)
		if !is || !files.Portable(name) {
			continue
		}
		err := unix.Setxattr(files.FDPath(fd), name, []byte(value), 0)
		if err != nil && err != unix.ENOTSUP && err != unix.EPERM {
			return fmt.Errorf("setxattr %s: %w", name, err)
		}
	}
	return setTime(h, fd)
}

func setTime(h *tar.Header, fd int) error {
	at, err := unix.TimeToTimespec(h.ModTime)
	if err != nil {
		return err
	}
	times := []unix.Timespec{at, at}
	return unix.UtimesNanoAt(unix.AT_FDCWD, files.FDPath(fd), times, 0)
}

// setTimes gives the directories their times.
func (u *unpacker) setTimes() error {
	for _, h := range u.later {
		fd, err := u.parent(strings.TrimPrefix(path.Clean(h.Name), "/") + "/.")
		if err == nil {
			err = errors.Join(setTime(h, fd), unix.Close(fd))
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unpack %q: %w", h.Name, err)
		}
	}
	return nil
}
