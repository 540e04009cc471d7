package copyup

import (
	"errors"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
)

// Place returns the path for a file: to itself, or name in it if it is a directory; isDir is whether
// it is to be one. The directories on the way are made.
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

// Parents makes in a directory those above a file of a source, up to pivot, which is left out, and the
// file itself if it is one. It returns the last. They are like those of the source.
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
