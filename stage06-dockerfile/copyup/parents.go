package copyup

import (
	"errors"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
)

// Place returns where a file called name goes that is copied to the path to: to that path, or into
// it under its name if the path is a directory or isDir says that it is to be one. The directories
// that lead there are made, and belong to who.
func (w *Writer) Place(to, name string, isDir bool, who Owner) (string, error) {
	if !isDir {
		real, err := w.Resolve(to, false, who)
		if err != nil {
			return "", err
		}
		st, _, err := w.Stat(real)
		if err != nil {
			return "", err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			to, name = path.Dir(real), path.Base(real)
		}
	}
	dir, err := w.Resolve(to, true, who)
	return path.Join(dir, name), err
}

// Parents makes the directories of a source that lie between pivot and n in the directory in, with
// the same attributes, and also n itself if it is a directory. pivot itself is not made. It
// returns the path of the innermost one. New directories on the way to in belong to who.
func (w *Writer) Parents(in string, n, pivot *union.Node, who Owner) (to string, err error) {
	var dirs []*union.Node
	for ; n != pivot; n = n.Parent() {
		if n.IsDir() {
			dirs = append(dirs, n)
		}
	}
	to, err = w.Resolve(in, true, who)
	for _, n := range slices.Backward(dirs) {
		if err == nil {
			to = path.Join(to, n.Name())
			err = about("make", to, w.parent(n, to, who))
		}
	}
	return to, err
}

// parent makes one of them, once. One that is there already gets the mode only.
func (w *Writer) parent(n *union.Node, to string, who Owner) error {
	st, _, err := w.Stat(to)
	if err != nil || w.parents[to] {
		return err
	}
	if st.Mode != 0 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return errors.New("a file or a link is there already, and would be replaced by a directory")
	}
	w.parents[to] = true
	if err := w.Mkdir(to, st.Mode != 0, who); err != nil {
		return err
	}
	if st.Mode != 0 {
		return unix.Fchmodat(w.Root, to, n.Mode&0o7777, 0)
	}
	return w.CopyAttributes(n, to)
}
