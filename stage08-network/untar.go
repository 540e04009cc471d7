// ADD of an archive: its files are laid over what is there. Links of the archive, and those
// that are there already, are followed as if the destination were the root of everything. A layer,
// which is unpacked by the same layer.Extractor, follows none.
package main

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage05-images/layer"
)

// untarring is an archive on its way.
type untarring struct {
	*copying
	root  string // the destination
	tar   *layer.Extractor
	times map[string]time.Time // of directories: set when nothing is put into them any more
	bytes int64
	files int64
}

func (u *untarring) all() error {
	for {
		header, err := u.tar.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			u.files++
			u.bytes += header.Size
			err = u.s.b.Store.layerLimits().check(u.bytes, u.files)
		}
		if err == nil {
			err = u.entry(header)
		}
		if err != nil {
			return fmt.Errorf("the archive: %w", err)
		}
	}
	for dir, at := range u.times {
		times := []unix.Timespec{unix.NsecToTimespec(at.UnixNano()), unix.NsecToTimespec(at.UnixNano())}
		if err := unix.UtimesNanoAt(u.w.Root, dir, times, unix.AT_SYMLINK_NOFOLLOW); err != nil && err != unix.ENOENT {
			return about("utimensat", dir, err)
		}
	}
	return nil
}

// entry makes one file.
func (u *untarring) entry(h *tar.Header) error {
	name := path.Clean("/" + h.Name)
	if name == "/" || h.Typeflag == tar.TypeXGlobalHeader { // a remark on the archive, such as git's
		return nil
	}
	if err := layer.CheckIDs(h); err != nil {
		return err
	}
	if h.ModTime.Unix() < 0 {
		h.ModTime = time.Unix(0, 0)
	}
	dir, err := u.w.resolveIn(u.root, path.Dir(name), true, owner{})
	if err != nil {
		return err
	}
	target := path.Join(dir, path.Base(name))
	if err := u.make(h, target); err != nil {
		return about("unpack", h.Name, err)
	}
	if st, _, err := u.w.stat(target); err != nil || h.Typeflag == tar.TypeLink && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return err
	}
	return u.attributes(h, target)
}

func (u *untarring) make(h *tar.Header, target string) error {
	if h.Typeflag == tar.TypeDir {
		return u.directory(target)
	}
	if err := u.w.replace(target); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return u.link(h, target)
	}
	return u.tar.Create(u.w.Root, target, h, 0o600)
}

// directory makes a directory, in place of anything else.
func (u *untarring) directory(target string) error {
	st, _, err := u.w.stat(target)
	if err != nil {
		return err
	}
	if st.Mode != 0 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		if err := u.w.replace(target); err != nil {
			return err
		}
		st.Mode = 0
	}
	return u.w.mkdir(target, st.Mode != 0, u.who)
}

// link gives a file of this archive, or one that is there, another name.
func (u *untarring) link(h *tar.Header, target string) error {
	dir, err := u.w.resolveIn(u.root, path.Dir(path.Clean("/"+h.Linkname)), false, u.who)
	if err != nil {
		return err
	}
	first := path.Join(dir, path.Base(h.Linkname))
	err = unix.Linkat(u.w.Root, first, u.w.Root, target, 0)
	if err != unix.ENOENT {
		return err
	}
	n, err := exactly(u.w.below, first) // of a lower layer: a link across layers is a copy
	if err != nil {
		return err
	}
	return u.w.put(n, target)
}

func (u *untarring) attributes(h *tar.Header, target string) error {
	uid, gid := h.Uid, h.Gid
	if u.chown {
		uid, gid = u.who.uid, u.who.gid
	}
	if err := u.w.own(target, owner{uid, gid}); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeDir {
		if err := u.xattrs(h, target); err != nil {
			return err
		}
	}
	if h.Typeflag != tar.TypeSymlink { // --chmod is not for what is in archives
		if err := unix.Fchmodat(u.w.Root, target, uint32(h.Mode)&0o7777, 0); err != nil {
			return about("chmod", target, err)
		}
	}
	if h.Typeflag == tar.TypeDir {
		delete(u.w.same, target)
		u.w.created[target] = true
		u.times[target] = h.ModTime
		return nil
	}
	times := []unix.Timespec{unix.NsecToTimespec(h.ModTime.UnixNano()), unix.NsecToTimespec(h.ModTime.UnixNano())}
	return about("utimensat", target, unix.UtimesNanoAt(u.w.Root, target, times, unix.AT_SYMLINK_NOFOLLOW))
}

func (u *untarring) xattrs(h *tar.Header, target string) error {
	for record, value := range h.PAXRecords {
		name, is := strings.CutPrefix(record, files.XattrPrefix)
		if !is || name != "security.capability" {
			continue
		}
		fd, err := unix.Openat(u.w.Root, target, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return about("open", target, err)
		}
		err = unix.Setxattr(files.FDPath(fd), name, []byte(value), 0)
		unix.Close(fd)
		if err != nil && err != unix.EPERM && err != unix.ENOTSUP {
			return about("setxattr "+name, target, err)
		}
	}
	return nil
}
