// Writing into a new layer without mounting anything. The package copyup does it as if the layers
// below were mounted under it; here these are opened as a union for it.
package main

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
	"stagebox/stage06-dockerfile/copyup"
)

// writer writes into a new layer.
type writer struct {
	*copyup.Writer
	below *union.FS
}

// newWriter writes into a directory above layers, the lowest of which comes first.
func newWriter(dir string, layers []string) (*writer, error) {
	top := slices.Clone(layers)
	slices.Reverse(top)
	u, err := union.Open(top)
	if err != nil {
		return nil, err
	}
	w, err := copyup.New(dir, byPath{u})
	if err != nil {
		u.Close()
		return nil, err
	}
	return &writer{w, u}, nil
}

func (w *writer) close() error {
	defer w.below.Close()
	return w.Close()
}

// byPath is a union of layers for an copyup.Writer: it finds files by their paths, and follows no
// link.
type byPath struct{ *union.FS }

// node finds a file.
func (l byPath) node(name string) (n *union.Node, err error) {
	n = l.Root()
	for part := range strings.SplitSeq(name, "/") {
		if part == "." {
			continue
		}
		if n, err = n.Child(part); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Stat describes a file, and returns the target of a link.
func (l byPath) Stat(name string) (st unix.Stat_t, link string, err error) {
	n, err := l.node(name)
	if err != nil {
		return st, "", err
	}
	if n.Is(unix.S_IFLNK) {
		link, err = n.ReadLink()
	}
	return n.Stat_t, link, err
}

// Open opens a file.
func (l byPath) Open(name string, flags int) (int, error) {
	n, err := l.node(name)
	if err != nil {
		return -1, err
	}
	return n.Open(flags)
}

// withFile opens a file of a source and calls do.
func withFile(n *union.Node, do func(fd int) error) error {
	fd, err := n.Open(unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

// put copies one file of a source under a name. Its directory exists.
func (w *writer) put(n *union.Node, name string) error {
	return withFile(n, func(fd int) error { return w.Put(fd, name) })
}

// like gives a directory the attributes of one of the source.
func (w *writer) like(n *union.Node, name string) error {
	return withFile(n, func(fd int) error { return w.CopyAttributes(fd, name) })
}
