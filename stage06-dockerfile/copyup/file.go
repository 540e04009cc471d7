// Copies of files, and files made from data.

package copyup

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
)

// Put copies a file of any kind but a directory. Its directory exists.
func (w *Writer) Put(n *union.Node, name string) error {
	if union.IsWhiteout(&n.Stat_t) {
		return fmt.Errorf("/%s: a device with the numbers 0:0 cannot be in a layer, where it means that the name was deleted", name)
	}
	return withFile(n, func(fd int) error {
		if err := w.clear(name); err != nil {
			return err
		}
		return errors.Join(w.File(fd, name, func(bool) error { return nil }), w.noteOwner(name))
	})
}

// noteOwner notes who should own a copy, if its owner could not be changed.
func (w *Writer) noteOwner(name string) error {
	if w.Give == nil || os.Geteuid() == 0 {
		return nil
	}
	return w.own(name, *w.Give)
}

// MergeDir makes a directory, unless there is one already.
func (w *Writer) MergeDir(name string) error {
	st, _, err := w.Stat(name)
	if err != nil {
		return err
	}
	if isOther(&st) {
		return fmt.Errorf("/%s is a file or a link, and would be replaced by a directory", name)
	}
	return w.Mkdir(name, st.Mode != 0, Owner{})
}

// CopyAttributes gives a directory all attributes of another.
func (w *Writer) CopyAttributes(n *union.Node, name string) error {
	defer func(change func(*unix.Stat_t)) { w.Change = change }(w.Change)
	if change := w.Change; change != nil && w.Give != nil {
		w.Change = func(st *unix.Stat_t) {
			change(st)
			st.Mode = st.Mode&unix.S_IFMT | w.dirMode(name, st.Mode)
		}
	}
	return withFile(n, func(fd int) error {
		w.keepChanged(name)
		return errors.Join(w.Attributes(fd, name), w.noteOwner(name))
	})
}

// CopyTimes gives a directory the times of another, and nothing else of it.
func (w *Writer) CopyTimes(st *unix.Stat_t, name string) error {
	if name == "." {
		return nil // the root of the layer is not in it
	}
	w.keepChanged(name)
	return w.setTimes(name, st.Atim, st.Mtim)
}

// Write makes a regular file with these bytes, mode, owner and time. Its directory exists.
func (w *Writer) Write(name string, data []byte, mode uint32, who Owner, at time.Time) error {
	if err := w.clear(name); err != nil {
		return err
	}
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(w.Root, name, flags, 0o600)
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
	return w.setTimes(name, timespec(at), timespec(at))
}

func timespec(t time.Time) unix.Timespec { return unix.NsecToTimespec(t.UnixNano()) }
