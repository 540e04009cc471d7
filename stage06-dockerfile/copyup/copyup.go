// Package copyup writes into the upper directory of a new layer as if the layers below were
// mounted under it. A path is looked up in both, links are followed inside, and a directory that
// only a lower layer has is made in the upper one too, with the same owner, mode and times, before
// something is put into it. The kernel calls that a copy-up (overlayfs in the kernel's
// Documentation/filesystems); here it is done by hand, so it needs neither a mount nor root.
//
// The lesson reads Writer.Stat, Writer.resolveIn and Writer.Mkdir; and in archive.go Writer.UnpackFile,
// for ADD of an archive.
package copyup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/layer"
)

// Owner is the owner and group of new files.
type Owner struct{ UID, GID int }

// Writer writes into one upper directory. Its methods take paths relative to the root of the
// layer. Those that Resolve returned lead through no link, and all other methods want such paths.
type Writer struct {
	*files.Copier
	NewMode uint32 // of directories that Resolve creates
	Give    *Owner // the owner of copies; nil keeps that of the source

	below   lower
	dir     *os.File
	same    map[string]bool     // directories that nothing was added to: they keep their times
	created map[string]bool     // directories that are new or were changed
	owners  *layer.OwnersWriter // for an ordinary user, who cannot change the owner
	modes   map[string]uint32   // that directories should have, where an ordinary user needs more
	parents map[string]bool     // directories that Parents has made
}

// New returns a Writer into a directory above layers, the lowest of which comes first.
func New(dir string, layers []string) (*Writer, error) {
	file, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	topFirst := slices.Clone(layers)
	slices.Reverse(topFirst)
	u, err := union.Open(topFirst)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Writer{
		Copier: files.NewCopier(int(file.Fd())), NewMode: 0o755, below: lower{u}, dir: file,
		same: map[string]bool{}, created: map[string]bool{}, owners: layer.NewOwnersWriter(dir),
		modes: map[string]uint32{}, parents: map[string]bool{},
	}, nil
}

// Close restores the times of directories that were made only to lead to others.
func (w *Writer) Close() (err error) {
	defer w.below.Close()
	for dir := range w.same {
		if st, _, errStat := w.below.Stat(dir); errStat == nil {
			err = errors.Join(err, w.setTimes(dir, st.Atim, st.Mtim))
		}
	}
	return errors.Join(err, w.dir.Close(), w.owners.Close())
}

// setTimes sets the times of access and modification, of a link itself too.
func (w *Writer) setTimes(name string, access, modified unix.Timespec) error {
	times := []unix.Timespec{access, modified}
	return about("utimensat", name, unix.UtimesNanoAt(w.Root, name, times, unix.AT_SYMLINK_NOFOLLOW))
}

// Stat describes a file of the upper layer or of those below, and returns the target of a link.
// The mode is 0 if there is no such file.
func (w *Writer) Stat(name string) (st unix.Stat_t, link string, err error) {
	if name == "." {
		return w.below.Stat(name)
	}
	switch err = unix.Fstatat(w.Root, name, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case err == nil && union.IsWhiteout(&st):
		return unix.Stat_t{}, "", nil
	case err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(w.Root, name, target)
		return st, string(target[:max(n, 0)]), err
	case err == nil:
		return st, "", nil
	case err != unix.ENOENT && err != unix.ENOTDIR:
		return st, "", about("stat", name, err)
	}
	st, link, err = w.below.Stat(name)
	if errors.Is(err, unix.ENOENT) {
		return unix.Stat_t{}, "", nil
	}
	return st, link, err
}

// isOther reports whether there is a file that is not a directory.
func isOther(st *unix.Stat_t) bool {
	return st.Mode != 0 && st.Mode&unix.S_IFMT != unix.S_IFDIR
}

// Mkdir makes a directory of the upper layer, unless this Writer made it already. If the layers
// below have it too, isBelow, it gets all their attributes; a new one gets NewMode and the owner.
func (w *Writer) Mkdir(name string, isBelow bool, who Owner) error {
	if w.same[name] || w.created[name] {
		return nil
	}
	if err := unix.Mkdirat(w.Root, name, 0o755); err != nil {
		return about("mkdir", name, err)
	}
	if !isBelow {
		w.created[name] = true
		w.touch(name)
		err := unix.Fchmodat(w.Root, name, w.dirMode(name, w.NewMode), 0)
		return errors.Join(w.own(name, who), about("chmod", name, err))
	}
	w.same[name] = true
	n, err := w.below.node(name)
	if err != nil {
		return err
	}
	defer func(change func(*unix.Stat_t)) { w.Change = change }(w.Change)
	w.Change = nil
	return withFile(n, func(fd int) error { return w.Attributes(fd, name) })
}

// Date sets the time of a directory that this Writer has made.
func (w *Writer) Date(name string, at time.Time) error {
	if !w.created[name] {
		return nil
	}
	return w.setTimes(name, timespec(at), timespec(at))
}

// touch notes that something was put into the directory of a path.
func (w *Writer) touch(name string) { w.keepChanged(path.Dir(name)) }

// keepChanged notes that a directory of the upper layer keeps the times that it has.
func (w *Writer) keepChanged(dir string) { delete(w.same, dir); w.created[dir] = true }

// dirMode is the mode that a directory gets. An ordinary user must be able to fill and to read it:
// what it should be is noted beside the layer, together with the owner.
func (w *Writer) dirMode(name string, mode uint32) uint32 {
	if mode &= 0o7777; os.Geteuid() == 0 || mode&0o700 == 0o700 {
		delete(w.modes, name)
		return mode
	}
	w.modes[name] = mode
	return mode | 0o700
}

// own sets the owner of a new file. An ordinary user cannot: it is noted beside the layer.
func (w *Writer) own(name string, who Owner) error {
	if os.Geteuid() != 0 {
		o := &layer.Owner{UID: who.UID, GID: who.GID}
		if want, ok := w.modes[name]; ok {
			o.Have, o.Want = want|0o700, want
		}
		return w.owners.Add(name, o)
	}
	err := unix.Fchownat(w.Root, name, who.UID, who.GID, unix.AT_SYMLINK_NOFOLLOW)
	return about("chown", name, err)
}

// clear makes room for a file: one of this layer is removed; one of those below will be hidden.
func (w *Writer) clear(name string) error {
	st, _, err := w.Stat(name)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return fmt.Errorf("/%s is a directory, and would be replaced by a file", name)
	}
	if err := unix.Unlinkat(w.Root, name, 0); err != nil && err != unix.ENOENT {
		return about("remove", name, err)
	}
	w.touch(name)
	return nil
}

// replace makes room for a file, also where a directory is.
func (w *Writer) replace(name string) error {
	st, _, err := w.Stat(name)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return errors.Join(err, w.clear(name))
	}
	if err := os.RemoveAll(path.Join(files.FDPath(w.Root), name)); err != nil {
		return err
	}
	w.touch(name)
	return nil
}

func about(operation, name string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %q: %w", operation, name, err)
	}
	return nil
}
