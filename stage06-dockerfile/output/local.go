package output

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/state"
)

// writeLocal writes the tar stream that tree makes into a directory, which is made if it is missing.
// What is there stays, unless the stream has a file of its name: a regular file or a link is then
// replaced, in one step by a regular file; a directory or a special file is an error. New files
// belong to the caller. No link leads out of the directory (os.Root). sum says how much was written.
func writeLocal(dir string, tree func(io.Writer) error) (sum string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { // the mode that Docker gives it
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	from, to := io.Pipe()
	done := make(chan error)
	go func() {
		err := tree(to)
		to.CloseWithError(err) // nil is the end of the file
		done <- err
	}()
	u := &unpacker{root: root, in: -1, clean: map[string]bool{}}
	err = u.unpack(from)
	from.Close()
	if errTree := <-done; errTree != nil && !errors.Is(errTree, io.ErrClosedPipe) && !u.failed {
		err = errTree
	}
	noun := "files"
	if u.files == 1 {
		noun = "file"
	}
	return fmt.Sprintf(": %d %s, %s", u.files, noun, units.FormatSize(u.bytes)), err
}

// unpacker makes the files of a tar stream in a directory.
type unpacker struct {
	root *os.Root

	parent string          // the path of the directory that is open
	dir    *os.File        // it, or nil
	in     int             // its descriptor
	clean  map[string]bool // directories that were made, or swept
	later  []*tar.Header   // directories, whose attributes are set when they are full
	failed bool            // the error is of the files, and not of the stream

	files, bytes int64 // that were written
}

func (u *unpacker) unpack(r io.Reader) error {
	defer func() { u.dir.Close() }()
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r) // until tree has ended
			return errors.Join(err, u.attributes())
		}
		if err != nil {
			return err
		}
		if err := u.entry(h, archive); err != nil {
			u.failed = true
			return fmt.Errorf("write %q: %w", path.Join(u.root.Name(), h.Name), err)
		}
	}
}

// entry makes a file or a directory.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	name := path.Clean(h.Name)
	if err := u.open(path.Dir(name)); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return u.mkdir(h, name)
	}
	u.files++
	name = path.Base(name)
	if err := u.clear(h, name); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		u.bytes += h.Size
		return u.regular(h, name, content)
	case tar.TypeLink:
		return u.link(h, name)
	case tar.TypeSymlink:
		if err := unix.Symlinkat(h.Linkname, u.in, name); err != nil {
			return err
		}
	default:
		if err := u.special(h, name); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(u.in, name, timesOf(h), unix.AT_SYMLINK_NOFOLLOW)
}

// open opens the directory that the next file is in, unless it is open. What boxes that were
// killed have left half written there is removed.
func (u *unpacker) open(parent string) error {
	if u.dir != nil && parent == u.parent {
		return nil
	}
	dir, err := u.root.Open(parent)
	if err != nil {
		return err
	}
	u.dir.Close()
	u.parent, u.dir, u.in = parent, dir, int(dir.Fd())
	if u.clean[parent] {
		return nil
	}
	u.clean[parent] = true
	return ignore(state.Sweep(files.FDPath(u.in)), fs.ErrPermission)
}

// mkdir makes a directory, or uses the one that is there. The caller can write to it until all of
// its files are made.
func (u *unpacker) mkdir(h *tar.Header, name string) error {
	u.later = append(u.later, h)
	base := path.Base(name)
	var st unix.Stat_t
	err := unix.Fstatat(u.in, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch kind := st.Mode & unix.S_IFMT; {
	case err != nil && err != unix.ENOENT:
		return err
	case err == nil && kind == unix.S_IFDIR:
		if st.Mode&0o700 != 0o700 {
			err = unix.Fchmodat(u.in, base, st.Mode&0o7777|0o700, 0)
		}
		return err
	case err == nil && (kind == unix.S_IFREG || kind == unix.S_IFLNK):
		if err := unix.Unlinkat(u.in, base, 0); err != nil {
			return err
		}
	case err == nil:
		return errInTheWay(kind)
	}
	u.clean[name] = true
	return unix.Mkdirat(u.in, base, 0o700)
}

// clear makes room for a file, unless it replaces the one that is there in one step.
func (u *unpacker) clear(h *tar.Header, name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(u.in, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return ignore(err, unix.ENOENT)
	}
	kind := st.Mode & unix.S_IFMT
	same, _ := files.TarType(st.Mode)
	switch {
	case kind == unix.S_IFREG && (h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeLink):
		return nil
	case kind == unix.S_IFREG, kind == unix.S_IFLNK, same == h.Typeflag:
		return unix.Unlinkat(u.in, name, 0)
	}
	return errInTheWay(kind)
}

func errInTheWay(kind uint32) error {
	what := "a special file"
	if kind == unix.S_IFDIR {
		what = "a directory"
	}
	return fmt.Errorf("%s is in the way; only regular files and links are replaced: remove it", what)
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// regular writes a file under another name, and renames it.
func (u *unpacker) regular(h *tar.Header, name string, content io.Reader) error {
	dir := files.FDPath(u.in)
	file, err := state.Create(dir)
	if err != nil {
		return err
	}
	if _, err = io.Copy(file, content); err == nil {
		err = setXattrs(h, int(file.Fd()))
	}
	if err == nil {
		err = futimens(h, int(file.Fd()))
	}
	if err != nil {
		return errors.Join(err, file.Discard())
	}
	return file.Commit(path.Join(dir, name), h.FileInfo().Mode(), state.Volatile)
}

// link makes another name for a file that the stream has had.
func (u *unpacker) link(h *tar.Header, name string) error {
	temporary := state.PendingName()
	to := path.Join(u.parent, temporary)
	if err := u.root.Link(path.Clean(h.Linkname), to); err != nil {
		return err
	}
	err := unix.Renameat(u.in, temporary, u.in, name)
	if err != nil {
		err = errors.Join(err, u.root.Remove(to))
	}
	return err
}

// special makes a FIFO or a device, which takes root.
func (u *unpacker) special(h *tar.Header, name string) error {
	kinds := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}
	device := unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))
	mode := uint32(h.Mode) & 0o7777
	err := unix.Mknodat(u.in, name, kinds[h.Typeflag]|mode, int(device))
	if err == unix.EPERM {
		return fmt.Errorf("mknod: %w; only root can make a device, and type=tar keeps it", err)
	}
	if err == nil {
		err = unix.Fchmodat(u.in, name, mode, 0) // whatever the umask
	}
	return err
}

// attributes gives the directories their attributes, the innermost first.
func (u *unpacker) attributes() error {
	for _, h := range slices.Backward(u.later) {
		dir, err := u.root.Open(path.Clean(h.Name))
		if err == nil {
			err = errors.Join(setXattrs(h, int(dir.Fd())), dir.Chmod(h.FileInfo().Mode()),
				futimens(h, int(dir.Fd())), dir.Close())
		}
		if err != nil {
			u.failed = true
			return err
		}
	}
	return nil
}

// setXattrs sets the extended attributes that the caller may set and the file system has.
func setXattrs(h *tar.Header, fd int) error {
	for key, value := range h.PAXRecords {
		name, is := strings.CutPrefix(key, files.XattrPrefix)
		if !is || !files.Portable(name) {
			continue
		}
		err := unix.Fsetxattr(fd, name, []byte(value), 0)
		if err != nil && err != unix.EPERM && err != unix.ENOTSUP {
			return &fs.PathError{Op: "setxattr " + name, Path: h.Name, Err: err}
		}
	}
	return nil
}

func futimens(h *tar.Header, fd int) error {
	return unix.UtimesNanoAt(fd, "", timesOf(h), unix.AT_EMPTY_PATH)
}

func timesOf(h *tar.Header) []unix.Timespec {
	at, _ := unix.TimeToTimespec(h.ModTime) // which came from the kernel
	return []unix.Timespec{at, at}
}
