// Unpacking. Tar streams come from strangers, so nothing is ever looked up by a path: one directory
// after the other is opened (openat2(2)), as a single name that may not be a link, and files are
// made in the innermost one. If an earlier entry of the layer has the same name, it is removed
// first. Read Unpack first, then entry.

package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// Unpack unpacks a tar stream, compressed or not, into a directory that overlay can stack. The
// directory must exist and be empty. The stream is read to its end. After an error, the caller
// removes the directory, and the owners file beside it (OwnersSuffix).
func Unpack(r io.Reader, dir string, limit Limit) (Sum, error) {
	return decompressed(r, func(stream io.Reader) (Sum, error) {
		return unpack(stream, dir, limit, false)
	})
}

// UnpackFiles unpacks a tar stream into an empty directory that is not a layer: names of whiteouts are
// those of ordinary files, and an archive with a device is refused.
func UnpackFiles(r io.Reader, dir string, limit Limit) (Sum, error) {
	return decompressed(r, func(stream io.Reader) (Sum, error) {
		return unpack(stream, dir, limit, true)
	})
}

// unpack unpacks a stream that is not compressed. A plain one is not a layer.
func unpack(r io.Reader, dir string, limit Limit, plain bool) (sum Sum, err error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(dir, flags, 0)
	if err != nil {
		return sum, about("open", dir, err)
	}
	root, err := opened("", fd)
	if err != nil {
		return sum, errors.Join(err, unix.Close(fd))
	}
	root.mtime = unix.Timespec{} // unless the layer says another
	ahead := startReadAhead(r, limit)
	defer ahead.stop()
	u := &unpacker{
		tar: NewExtractor(ahead), limit: limit,
		dirs: []openedDir{root}, owners: NewOwnersWriter(dir),
		euid: os.Geteuid(), egid: os.Getegid(), plain: plain, implied: map[string]bool{},
	}
	defer func() { err = errors.Join(err, u.close()) }()
	mask, err := files.Umask()
	if err != nil {
		return sum, err
	}
	u.umask = uint32(mask)
	if err := u.entries(); err != nil {
		return sum, err
	}
	if err := ahead.drain(); err != nil {
		return sum, err
	}
	return ahead.Sum(), nil
}

// unpacker is at work on one layer.
type unpacker struct {
	tar        *Extractor
	limit      Limit
	dirs       []openedDir // from the layer's own directory down to where files are made now
	owners     *OwnersWriter
	euid, egid int
	umask      uint32
	bytes      int64 // in files: more than in the stream, where a file has holes
	files      int64
	implied    map[string]bool // directories that had to be made, and that the stream has not listed

	plain bool // it is not a layer
}

// openedDir is a directory that files are made in. That changes its time, which is set when it is
// left.
type openedDir struct {
	path   string // inside, "" for the layer's own directory
	fd     int
	mtime  unix.Timespec
	setgid bool // what is made in it gets its group
}

// opened is a directory as it is now.
func opened(path string, fd int) (openedDir, error) {
	var st unix.Stat_t
	err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH)
	return openedDir{path, fd, st.Mtim, st.Mode&unix.S_ISGID != 0}, about("stat", path, err)
}

func (u *unpacker) top() *openedDir { return &u.dirs[len(u.dirs)-1] }

// close leaves all directories.
func (u *unpacker) close() (err error) {
	for len(u.dirs) > 0 {
		err = errors.Join(err, u.leave())
	}
	return errors.Join(err, u.owners.implied(u.implied), u.owners.Close())
}

func (u *unpacker) entries() error {
	for {
		h, err := u.tar.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the layer's archive, after %d entries: %w", u.files, err)
		}
		if err := u.count(h.Size); err != nil {
			return err
		}
		if err := u.entry(h); err != nil {
			return fmt.Errorf("unpack %.200q: %w", h.Name, err)
		}
	}
}

// count adds one file to what the layer has.
func (u *unpacker) count(bytes int64) error {
	u.bytes, u.files = u.bytes+bytes, u.files+1
	return u.limit(u.bytes, u.files)
}

// entry makes what a header describes.
func (u *unpacker) entry(h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader { // a comment, as git archive writes it
		return nil
	}
	name, err := layerPath(h.Name)
	if err != nil {
		return err
	}
	if err := CheckIDs(h); err != nil {
		return err
	}
	if name == "" && h.Typeflag != tar.TypeDir {
		return errors.New("it is the path of the layer's own directory, and not a directory")
	}
	if isMark(name) && !u.plain {
		return u.mark(name)
	}
	if u.plain && (h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock) {
		return errors.New("it is a device, and none is made outside of a container")
	}
	if err := u.enter(dirOf(name)); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(name, h)
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.file(name, h)
	case tar.TypeSymlink:
		return u.symlink(name, h)
	case tar.TypeLink:
		return u.link(name, h)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return u.node(name, h)
	}
	return fmt.Errorf("entry type %q is not allowed in a layer", h.Typeflag)
}

// layerPath is a name of the archive as a path below the layer's directory, "" for itself.
// One that begins with / means the same without it.
func layerPath(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New(`".." in a name leads out of its directory, ` +
				"and the layer is not trusted with that")
		}
	}
	if len(name) >= unix.PathMax {
		return "", fmt.Errorf("the name has %d bytes, and the kernel takes %d",
			len(name), unix.PathMax-1)
	}
	name = path.Clean(strings.TrimLeft(name, "/"))
	if name == "." {
		name = ""
	}
	return name, nil
}

// dirOf is the directory that a path of the layer is in, "" for the layer's own.
func dirOf(name string) string { return name[:max(strings.LastIndexByte(name, '/'), 0)] }

// CheckIDs refuses owners that no kernel has; -1 would mean to leave the owner as it is.
func CheckIDs(h *tar.Header) error {
	const most = 1<<32 - 2
	if h.Uid < 0 || h.Gid < 0 || h.Uid > most || h.Gid > most {
		return fmt.Errorf("owner %d:%d: ids out of range", h.Uid, h.Gid)
	}
	return nil
}

// enter leaves and opens directories until files are made in this one. Those that are
// missing are made, with a time that is the same everywhere; see Inherit for what becomes of them.
func (u *unpacker) enter(dir string) error {
	for !isBelow(dir, u.top().path) {
		if err := u.leave(); err != nil {
			return err
		}
	}
	for rest := strings.TrimPrefix(dir[len(u.top().path):], "/"); rest != ""; {
		name, after, _ := strings.Cut(rest, "/")
		if err := u.descend(dir[:len(dir)-len(rest)+len(name)], name); err != nil {
			return fmt.Errorf("its directory %.200q: %w", name, err)
		}
		rest = after
	}
	return nil
}

// isBelow reports whether a path of the layer is a directory or below it.
func isBelow(name, dir string) bool {
	rest, ok := strings.CutPrefix(name, dir)
	return dir == "" || ok && (rest == "" || rest[0] == '/')
}

// leave closes the innermost directory. Nothing will change its time any more, unless it is
// entered again.
func (u *unpacker) leave() error {
	d := *u.top()
	u.dirs = u.dirs[:len(u.dirs)-1]
	err := unix.UtimesNanoAt(d.fd, ".", []unix.Timespec{d.mtime, d.mtime}, 0)
	return errors.Join(about("utimensat", d.path, err), about("close", d.path, unix.Close(d.fd)))
}

// descend opens a directory in the innermost one, and makes it if it is missing.
func (u *unpacker) descend(path, name string) error {
	in := u.top().fd
	fd, err := files.OpenBeneath(in, name, unix.O_PATH|unix.O_DIRECTORY)
	if u.isMissing(name, err) {
		if err := u.count(0); err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeDir, Mode: 0o755, ModTime: epoch}
		if err := u.directory(path, h); err != nil {
			return err
		}
		if !u.plain {
			u.implied[path] = true
		}
		fd, err = files.OpenBeneath(in, name, unix.O_PATH|unix.O_DIRECTORY)
	}
	if errors.Is(err, unix.ENOTDIR) {
		return errors.New("the layer has a file or a link of this name, " +
			"and only a directory can hold something")
	}
	if err != nil {
		return err
	}
	d, err := opened(path, fd)
	u.dirs = append(u.dirs, d)
	return err
}

// isMissing reports whether a directory could not be opened because there is nothing or a whiteout.
func (u *unpacker) isMissing(name string, err error) bool {
	if errors.Is(err, unix.ENOTDIR) {
		st, err := u.stat(name)
		return err == nil && isWhiteout(&st)
	}
	return errors.Is(err, unix.ENOENT)
}

// stat looks at a name in the innermost directory.
func (u *unpacker) stat(base string) (st unix.Stat_t, err error) {
	err = unix.Fstatat(u.top().fd, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, err
}

// mark removes something that lower layers have. What this layer has itself stays, whether
// it came before or comes after: a directory that is in both is then opaque.
func (u *unpacker) mark(name string) error {
	dir, base := dirOf(name), path.Base(name)
	gone := strings.TrimPrefix(base, whiteoutPrefix)
	switch {
	case base == opaqueMarker && !isMark(dir):
		if err := u.enter(dir); err != nil {
			return err
		}
		return setOpaque(u.top().fd, ".")
	case strings.Contains("/"+name, "/"+whiteoutPrefix+whiteoutPrefix):
		return nil // AUFS, from which this notation comes, kept these for itself
	case isMark(dir):
		return errors.New("a whiteout is a file, and this one would be a directory")
	case gone == "" || gone == "." || gone == "..":
		return errors.New("this whiteout names nothing that could be removed")
	}
	if err := u.enter(dir); err != nil {
		return err
	}
	err := unix.Mknodat(u.top().fd, gone, unix.S_IFCHR, 0)
	if errors.Is(err, unix.EEXIST) {
		if err = setOpaque(u.top().fd, gone); errors.Is(err, unix.ENOTDIR) {
			return nil
		}
	}
	return about("make a whiteout of", gone, err)
}

// isWhiteout reports whether a file is one of overlay's.
func isWhiteout(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

// setOpaque hides what lower layers have in a directory. Root's overlay wants an attribute
// that only root may set; an ordinary user's, mounted with userxattr, another.
func setOpaque(dir int, name string) error {
	fd, err := files.OpenBeneath(dir, name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return about("open", name, err)
	}
	defer unix.Close(fd)
	err = unix.Setxattr(files.FDPath(fd), "trusted.overlay.opaque", []byte("y"), 0)
	if errors.Is(err, unix.EPERM) {
		err = unix.Setxattr(files.FDPath(fd), "user.overlay.opaque", []byte("y"), 0)
	}
	return about("make opaque", name, err)
}

// place makes something new. The layer's earlier file there is removed.
func (u *unpacker) place(name string, create func(dir int, base string) error) error {
	base := path.Base(name)
	err := create(u.top().fd, base)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	u.owners.again = true
	dir, err := os.OpenRoot(files.FDPath(u.top().fd))
	if err != nil {
		return err
	}
	if err := errors.Join(dir.RemoveAll(base), dir.Close()); err != nil {
		return err
	}
	return create(u.top().fd, base)
}

// directory makes one, or changes the attributes of one that is there.
func (u *unpacker) directory(name string, h *tar.Header) error {
	delete(u.implied, name)
	if name == "" { // the layer's own: its time is set when it is left
		mtime, err := unix.TimeToTimespec(h.ModTime)
		u.top().mtime, u.top().setgid = mtime, h.Mode&unix.S_ISGID != 0
		return errors.Join(err, u.attributes(name, h, unknownMode, 0))
	}
	create := func(dir int, base string) error { return unix.Mkdirat(dir, base, 0o700) }
	err := create(u.top().fd, path.Base(name))
	if errors.Is(err, unix.EEXIST) {
		err = u.overwrite(name, create)
	}
	if err != nil {
		return err
	}
	return u.attributes(name, h, unknownMode, 0)
}

// overwrite makes a directory where something is. A directory stays, with what is in it.
// Where a whiteout was, lower layers have something that must not show through.
func (u *unpacker) overwrite(name string, create func(dir int, base string) error) error {
	u.owners.again = true
	st, err := u.stat(path.Base(name))
	if err != nil || st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return err
	}
	if err := u.place(name, create); err != nil || !isWhiteout(&st) {
		return err
	}
	return setOpaque(u.top().fd, path.Base(name))
}

// file makes a regular file. Mostly it can have its mode from the beginning.
func (u *unpacker) file(name string, h *tar.Header) error {
	made, perm := u.modeOf(h), u.modeOf(h)
	if made&(u.umask|0o7000) != 0 || hasRecord(h, files.XattrPrefix) {
		made, perm = unknownMode, 0o600
	}
	if err := u.create(name, h, perm); err != nil {
		return err
	}
	return u.attributes(name, h, made, 0)
}

func (u *unpacker) create(name string, h *tar.Header, perm uint32) error {
	err := u.place(name, func(dir int, base string) error {
		return u.tar.Create(dir, base, h, perm)
	})
	if content := (contentError{}); errors.As(err, &content) {
		return fmt.Errorf("read its content: %w", err)
	}
	return err
}

// symlink makes a symbolic link. It may lead anywhere: it is never followed here.
func (u *unpacker) symlink(name string, h *tar.Header) error {
	if err := u.create(name, h, 0); err != nil {
		return err
	}
	return u.attributes(name, h, 0o777, 0)
}

// link makes another name for a file of the layer, with which it shares its attributes.
func (u *unpacker) link(name string, h *tar.Header) error {
	target, err := layerPath(h.Linkname)
	if err == nil && target == name {
		_, err = u.stat(path.Base(name))
		return err
	}
	fd := -1
	if err == nil {
		fd, err = files.OpenBeneath(u.dirs[0].fd, path.Dir(target), unix.O_PATH|unix.O_DIRECTORY)
	}
	if err != nil {
		return noTarget(h, err)
	}
	defer unix.Close(fd)
	err = u.place(name, func(dir int, base string) error {
		return unix.Linkat(fd, path.Base(target), dir, base, 0)
	})
	if err != nil {
		return noTarget(h, err)
	}
	return u.owners.link(target, name)
}

// noTarget says why there is no hard link. A layer is unpacked by itself, as by containerd and
// Docker, so that a link cannot lead to a file of a lower one.
func noTarget(h *tar.Header, err error) error {
	if errors.Is(err, unix.ENOENT) {
		err = fmt.Errorf("%w before it in the same archive", err)
	}
	return fmt.Errorf("hard link to %.200q: %w", h.Linkname, err)
}

// node makes a device or a pipe. Devices are root's to make: for others an empty file holds
// the place.
func (u *unpacker) node(name string, h *tar.Header) error {
	kind := uint32(0)
	err := u.place(name, func(dir int, base string) error {
		err := u.tar.Create(dir, base, h, 0)
		if errors.Is(err, unix.EPERM) {
			kind = nodeKind(h)
			err = unix.Mknodat(dir, base, unix.S_IFREG|0o600, 0)
		}
		return err
	})
	if err != nil {
		return err
	}
	return u.attributes(name, h, unknownMode, kind)
}

// unknownMode is that of a file which may have been there before.
const unknownMode = ^uint32(0)

// modeOf is the mode that a file gets. An ordinary user must be able to fill and to remove
// his own directories.
func (u *unpacker) modeOf(h *tar.Header) uint32 {
	mode := uint32(h.Mode) & 0o7777
	if u.euid != 0 && h.Typeflag == tar.TypeDir {
		mode |= 0o700
	}
	return mode
}

// attributes gives a file its owner, extended attributes, mode and times, in this order: a change
// of owner takes setuid bits and capabilities away, and a mode may forbid the rest. An attribute that
// cannot be set is written down, and so is the kind of device that an empty file stands for.
func (u *unpacker) attributes(name string, h *tar.Header, made, kind uint32) error {
	dir, base := u.top().fd, path.Base(name)
	o := &Owner{UID: h.Uid, GID: h.Gid, Have: u.modeOf(h), Want: uint32(h.Mode)&0o7777 | kind}
	owned, err := u.chown(base, h, made)
	if err != nil {
		return about("chown", name, err)
	}
	if !owned {
		o.Have &^= 0o6000 // these bits lend the rights of the owner, who is another user now
	}
	if o.Xattrs, err = u.setXattrs(base, h); err != nil {
		return err
	}
	switch {
	case h.Typeflag == tar.TypeSymlink: // it has no mode
		o.Want = o.Have
	case made != o.Have:
		if err := unix.Fchmodat(dir, base, o.Have, 0); err != nil {
			return about("chmod", name, err)
		}
	}
	if kind != 0 {
		o.Major, o.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	}
	if !owned || o.Have != o.Want || len(o.Xattrs) > 0 || u.owners.again {
		if err := u.owners.Add(name, o); err != nil {
			return err
		}
	}
	mtime, err := unix.TimeToTimespec(h.ModTime)
	if err == nil {
		times := []unix.Timespec{mtime, mtime}
		err = unix.UtimesNanoAt(dir, base, times, unix.AT_SYMLINK_NOFOLLOW)
	}
	return about("utimensat", name, err)
}

// chown gives a file its owner. The caller acts as root; an ordinary user cannot give files
// away, and root of a user namespace only to the users that it maps.
func (u *unpacker) chown(base string, h *tar.Header, made uint32) (owned bool, err error) {
	root := h.Uid == 0 && h.Gid == 0
	switch {
	case root && made != unknownMode && !u.top().setgid:
		return true, nil
	case root:
		return true, unix.Fchownat(u.top().fd, base, u.euid, u.egid, unix.AT_SYMLINK_NOFOLLOW)
	case u.euid != 0:
		return false, nil
	}
	err = unix.Fchownat(u.top().fd, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		return false, nil
	}
	return true, err
}

// setXattrs sets those that belong to the file, and returns those that the kernel refuses:
// capabilities are root's to give, and some file systems have no attributes.
func (u *unpacker) setXattrs(base string, h *tar.Header) (url.Values, error) {
	if !hasRecord(h, files.XattrPrefix) || h.Typeflag == tar.TypeSymlink {
		return nil, nil
	}
	fd, err := files.OpenBeneath(u.top().fd, base, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	refused := url.Values{}
	for record, value := range h.PAXRecords {
		name, isXattr := strings.CutPrefix(record, files.XattrPrefix)
		if !isXattr || !files.Portable(name) {
			continue
		}
		err := unix.Setxattr(files.FDPath(fd), name, []byte(value), 0)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP) {
			refused.Set(name, value)
		} else if err != nil {
			return nil, about("setxattr "+name, base, err)
		}
	}
	return refused, nil
}
