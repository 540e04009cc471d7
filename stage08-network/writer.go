// Writing into a new layer as if the layers below were mounted under it: a path is looked up
// in both, links are followed inside, and a directory that is only below is made above too,
// with the same owner, mode and times, before something is put into it. It is what the
// kernel does at a copy-up (overlayfs in the kernel's Documentation/filesystems), done by
// hand, so that it can be done by an ordinary user as well.
package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/layer"
)

// writer writes into one upper directory.
type writer struct {
	*files.Copier
	below   *union.FS
	upper   *os.File
	same    map[string]bool // directories that nothing was added to: they keep their times
	created map[string]bool
	newMode uint32 // of directories that are made on the way

	give   *owner              // who gets what is copied, if it does not keep its owner
	owners *layer.OwnersWriter // for an ordinary user, who cannot give it
}

// owner is who new files belong to.
type owner struct{ uid, gid int }

// newWriter writes into a directory above layers, the lowest of which comes first.
func newWriter(upper string, layers []string) (*writer, error) {
	file, err := os.Open(upper)
	if err != nil {
		return nil, err
	}
	var top []string
	for i := range layers {
		top = append(top, layers[len(layers)-1-i])
	}
	below, err := union.Open(top)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	w := &writer{Copier: files.NewCopier(int(file.Fd())), below: below, upper: file, same: map[string]bool{}, created: map[string]bool{}, newMode: 0o755}
	w.owners = layer.NewOwnersWriter(upper)
	return w, nil
}

// close gives the directories that were only made to lead somewhere their times back.
func (w *writer) close() (err error) {
	for dir, same := range w.same {
		if n, errFind := exactly(w.below, dir); same && errFind == nil {
			times := []unix.Timespec{n.Atim, n.Mtim}
			err = errors.Join(err, about("utimensat", dir, unix.UtimesNanoAt(w.Root, dir, times, unix.AT_SYMLINK_NOFOLLOW)))
		}
	}
	w.below.Close()
	return errors.Join(err, w.upper.Close(), w.owners.Close())
}

// stat looks a path up that leads through no link. There is nothing where the mode is 0.
func (w *writer) stat(name string) (st unix.Stat_t, link string, err error) {
	if name == "." {
		return w.below.Root().Stat_t, "", nil
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
	n, err := exactly(w.below, name)
	if errors.Is(err, unix.ENOENT) {
		return unix.Stat_t{}, "", nil
	}
	if err != nil {
		return st, "", err
	}
	if n.Is(unix.S_IFLNK) {
		link, err = n.ReadLink()
	}
	return n.Stat_t, link, err
}

// exactly looks a path up without following any link.
func exactly(u *union.FS, path string) (n *union.Node, err error) {
	n = u.Root()
	for name := range strings.SplitSeq(path, "/") {
		if n, err = n.Child(name); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// resolve follows the links of a path, and returns where it leads, which need not exist.
// With make, all of it is made directories.
func (w *writer) resolve(name string, make bool, who owner) (string, error) {
	return w.resolveIn(".", name, make, who)
}

// resolveIn does so in a directory that nothing leads out of.
func (w *writer) resolveIn(root, name string, make bool, who owner) (string, error) {
	real, links := root, 0
	for rest := strings.Split(name, "/"); len(rest) > 0; {
		next := path.Join(real, rest[0])
		if rest[0] == ".." && real == root {
			next = real
		}
		if rest = rest[1:]; next == real || len(next) < len(real) {
			real = next
			continue
		}
		st, link, err := w.stat(next)
		if err != nil {
			return "", err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			if links++; links > 40 {
				return "", fmt.Errorf("%s: too many links on the way", name)
			}
			if strings.HasPrefix(link, "/") {
				real = root
			}
			rest = append(strings.Split(link, "/"), rest...)
			continue
		}
		if st.Mode != 0 && st.Mode&unix.S_IFMT != unix.S_IFDIR && (make || len(rest) > 0) {
			return "", fmt.Errorf("/%s is a file where a directory is needed", next)
		}
		if make {
			if err := w.mkdir(next, st.Mode != 0, who); err != nil {
				return "", err
			}
		}
		real = next
	}
	return real, nil
}

// mkdirs makes a directory and those above it, where they are missing.
func (w *writer) mkdirs(name string, who owner) error {
	_, err := w.resolve(name, true, who)
	return err
}

// mkdir makes a directory of the upper layer: one that is below too, like it; else a new one.
func (w *writer) mkdir(name string, isBelow bool, who owner) error {
	if w.same[name] || w.created[name] {
		return nil
	}
	if err := unix.Mkdirat(w.Root, name, 0o755); err != nil {
		return about("mkdir", name, err)
	}
	if !isBelow {
		w.created[name] = true
		w.touch(name)
		return errors.Join(w.own(name, who), about("chmod", name, unix.Fchmodat(w.Root, name, w.newMode, 0)))
	}
	w.same[name] = true
	n, err := exactly(w.below, name)
	if err != nil {
		return err
	}
	fd, err := n.Open(unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	change := w.Change
	w.Change = nil
	defer func() { w.Change = change }()
	return w.Attributes(fd, name)
}

// touch notes that something was put into the directory of a path.
func (w *writer) touch(name string) { delete(w.same, path.Dir(name)); w.created[path.Dir(name)] = true }

// own gives a new file to somebody. An ordinary user can give nothing away: it is noted
// beside the layer.
func (w *writer) own(name string, who owner) error {
	if os.Geteuid() != 0 {
		return w.owners.Add(name, &layer.Owner{UID: who.uid, GID: who.gid})
	}
	return about("chown", name, unix.Fchownat(w.Root, name, who.uid, who.gid, unix.AT_SYMLINK_NOFOLLOW))
}

// clear makes room for a file: what this layer has there goes; what is below will be hidden.
func (w *writer) clear(name string) error {
	st, _, err := w.stat(name)
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
func (w *writer) replace(name string) error {
	st, _, err := w.stat(name)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return errors.Join(err, w.clear(name))
	}
	if err := os.RemoveAll(path.Join(files.FDPath(w.Root), name)); err != nil {
		return err
	}
	w.touch(name)
	return nil
}

// put copies one file of a source under a name. Its directory exists.
func (w *writer) put(n *union.Node, name string) error {
	if err := w.clear(name); err != nil {
		return err
	}
	fd, err := n.Open(unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return errors.Join(w.File(fd, name, func(bool) error { return nil }), w.noteOwner(name))
}

// noteOwner notes who should own what was copied, where it could not be given away.
func (w *writer) noteOwner(name string) error {
	if w.give == nil || os.Geteuid() == 0 {
		return nil
	}
	return w.own(name, *w.give)
}

// write makes a file of a text.
func (w *writer) write(name string, data []byte, mode uint32, who owner, at time.Time) error {
	if err := w.clear(name); err != nil {
		return err
	}
	fd, err := unix.Openat(w.Root, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return about("open", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		return about("write", name, err)
	}
	if err := w.own(name, who); err != nil {
		return err
	}
	if err := unix.Fchmodat(w.Root, name, mode, 0); err != nil {
		return about("chmod", name, err)
	}
	times := []unix.Timespec{unix.NsecToTimespec(at.UnixNano()), unix.NsecToTimespec(at.UnixNano())}
	return about("utimensat", name, unix.UtimesNanoAt(w.Root, name, times, unix.AT_SYMLINK_NOFOLLOW))
}

// tree copies what a directory of a source holds into a directory that is there. keep tells
// of each path below the source whether it is wanted.
func (w *writer) tree(n *union.Node, rel, to string, keep func(rel string, isDir bool) (bool, bool, error)) error {
	children, err := n.Children()
	if err != nil {
		return err
	}
	for _, child := range children {
		below, target := path.Join(rel, child.Name()), path.Join(to, child.Name())
		wanted, inside, err := keep(below, child.IsDir())
		if err != nil {
			return err
		}
		if !wanted && !inside {
			continue
		}
		if !child.IsDir() {
			if err := w.put(child, target); err != nil {
				return err
			}
			continue
		}
		if err := w.directory(child, below, target, keep, wanted); err != nil {
			return err
		}
		child.Forget()
	}
	return nil
}

// directory copies a directory: one that is there already is merged with, and gets the
// attributes of this one. One that is not wanted itself is made only for what is in it.
func (w *writer) directory(n *union.Node, rel, to string, keep func(string, bool) (bool, bool, error), wanted bool) error {
	if !wanted {
		some, err := anyWanted(n, rel, keep)
		if err != nil || !some {
			return err
		}
	}
	st, _, err := w.stat(to)
	if err != nil {
		return err
	}
	if st.Mode != 0 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("/%s is a file or a link, and would be replaced by a directory", to)
	}
	if err := w.mkdir(to, st.Mode != 0, owner{}); err != nil {
		return err
	}
	if err := w.tree(n, rel, to, keep); err != nil {
		return err
	}
	return w.like(n, to)
}

// like gives a directory the attributes of one of the source.
func (w *writer) like(n *union.Node, name string) error {
	fd, err := n.Open(unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	delete(w.same, name)
	w.created[name] = true
	return errors.Join(w.Attributes(fd, name), w.noteOwner(name))
}

// dated gives a directory the times of one of the source, and nothing else of it.
func (w *writer) dated(n *union.Node, name string) error {
	if name == "." {
		return nil // the root of the layer is not in it
	}
	delete(w.same, name)
	w.created[name] = true
	times := []unix.Timespec{n.Atim, n.Mtim}
	return about("utimensat", name, unix.UtimesNanoAt(w.Root, name, times, unix.AT_SYMLINK_NOFOLLOW))
}

// anyWanted looks for something below a directory that is wanted.
func anyWanted(n *union.Node, rel string, keep func(string, bool) (bool, bool, error)) (bool, error) {
	children, err := n.Children()
	for _, child := range children {
		below := path.Join(rel, child.Name())
		wanted, inside, err := keep(below, child.IsDir())
		if err == nil && !wanted && inside {
			wanted, err = anyWanted(child, below, keep)
		}
		if err != nil || wanted {
			return wanted, err
		}
	}
	return false, err
}
