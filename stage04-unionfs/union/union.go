// Package union reads a stack of layers from user space: what the kernel does at each look-up
// in an overlay (Documentation/filesystems/overlayfs.rst) is done by hand, so nothing needs to
// be mounted.
//
// A name is looked for from the top layer down. A file hides everything below it. Directories
// are merged, down to the first one that is opaque: it was removed and made again, and has an
// extended attribute, OpaqueMark, that hides what is below. A whiteout, a character device 0:0,
// says that a name was deleted.
//
// Each step opens one name in a directory that is open already, and follows no link by itself:
// a container that swaps a directory for a link meanwhile cannot lead a reader out of the tree.
//
// The lesson reads Node.Child, IsWhiteout, IsOpaque, changesIn and changesOf. Only later stages use
// Node.Path, Node.Walk and Node.Layer.
package union

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/rawfile"
	"stagebox/stage04-unionfs/files"
)

// FS is a stack of layers that is open for reading. It is not safe for concurrent use.
type FS struct {
	root *Node
	open []int

	plain bool // a tree that is no layer: a device 0:0 in it is not a whiteout
}

// place is a directory of one layer: a descriptor, and what to write before a name in it.
type place struct {
	fd   int
	path string

	layer int // 0 is the top one
}

// maxOpen is how many layers are kept open; the others are found by their paths. A table of
// descriptors that threads share grows by a wait for all processors, ten milliseconds each
// time, when it has to hold 64, 128, 256….
const maxOpen = 16

// Node is a file or a directory of a stack.
type Node struct {
	unix.Stat_t        // of the topmost
	name        string // in its directory
	in          place
	dirs        []place // the directories that this one is merged of, the top one first
	parent      *Node
	known       map[string]*Node
	fs          *FS
}

// Open opens the directories of a stack, the top one first.
func Open(layers []string) (*FS, error) {
	u := &FS{}
	u.root = &Node{name: ".", fs: u, known: map[string]*Node{}}
	u.root.parent = u.root
	for i, dir := range layers {
		at, err := u.layer(dir, i < maxOpen)
		if err != nil {
			u.Close()
			return nil, fmt.Errorf("open(%q): %w", dir, err)
		}
		at.layer = i
		u.root.dirs = append(u.root.dirs, at)
	}
	u.root.in = u.root.dirs[0]
	return u, unix.Fstat(u.open[0], &u.root.Stat_t)
}

// OpenTree opens a directory that is not a layer.
func OpenTree(dir string) (*FS, error) {
	u, err := Open([]string{dir})
	if err == nil {
		u.plain = true
	}
	return u, err
}

func (u *FS) layer(dir string, open bool) (place, error) {
	if !open {
		return place{fd: unix.AT_FDCWD, path: dir + "/"}, unix.Access(dir+"/", unix.X_OK)
	}
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(dir, flags, 0)
	if err == nil {
		u.open = append(u.open, fd)
	}
	return place{fd: fd}, err
}

// Close closes the layers and all directories of nodes.
func (u *FS) Close() {
	for _, fd := range u.open {
		unix.Close(fd)
	}
}

// Root returns the directory that all layers' own directories are merged into.
func (u *FS) Root() *Node { return u.root }

// Child returns the file with a name in a directory, or ENOENT.
func (n *Node) Child(name string) (*Node, error) {
	if found := n.known[name]; found != nil {
		return found, nil
	}
	c := &Node{name: name, parent: n, fs: n.fs, known: map[string]*Node{}}
	for i, dir := range n.dirs {
		var st unix.Stat_t
		err := unix.Fstatat(dir.fd, dir.path+name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("fstatat(%q): %w", name, err)
		}
		isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
		if IsWhiteout(&st) && !n.fs.plain || !isDir && c.dirs != nil {
			break
		}
		if c.dirs == nil {
			c.Stat_t, c.in = st, dir
		}
		if !isDir {
			n.known[name] = c
			return c, nil
		}
		opaque, err := c.merge(dir, i == len(n.dirs)-1)
		if err != nil {
			return nil, err
		}
		if opaque {
			break
		}
	}
	if c.dirs == nil {
		return nil, unix.ENOENT
	}
	n.known[name] = c
	return c, nil
}

// merge adds the directory of a layer, and reports whether it hides those below.
func (n *Node) merge(in place, last bool) (opaque bool, err error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(in.fd, in.path+n.name, flags, 0)
	if err != nil {
		return false, fmt.Errorf("openat(%q): %w", n.name, err)
	}
	n.dirs, n.fs.open = append(n.dirs, place{fd: fd, layer: in.layer}), append(n.fs.open, fd)
	return last || IsOpaque(fd), nil
}

// IsWhiteout reports whether a file of a layer says that its name was deleted.
func IsWhiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 }

// IsOpaque reports whether a directory of a layer hides what is below it.
func IsOpaque(fd int) bool {
	var value [1]byte
	n, err := unix.Fgetxattr(fd, opaqueMark(), value[:])
	return err == nil && n == 1 && value[0] == 'y'
}

// OpaqueMark returns the name of the attribute that makes a directory opaque: one that only
// root may set, or another for the overlay of an ordinary user, who is root in a user namespace.
func OpaqueMark() string { return opaqueMark() }

var opaqueMark = sync.OnceValue(func() string {
	ids, err := rawfile.Read("/proc/self/uid_map")
	if err == nil && os.Geteuid() == 0 && bytes.Contains(ids, []byte(" 4294967295")) {
		return "trusted.overlay.opaque"
	}
	return "user.overlay.opaque"
})

// IsDir reports whether a path in a stack of layers is a directory. A later stage needs it.
func IsDir(layers []string, path string) (bool, error) {
	u, err := Open(layers)
	if err != nil {
		return false, err
	}
	defer u.Close()
	n, err := u.Find(path, true)
	return err == nil && n.IsDir(), err
}

// Find looks a path up as a process in the container would: links lead to files of the stack.
// The last name is followed, if it is a link, only when follow says so. Errors are those of
// path_resolution(7), as *fs.PathError.
func (u *FS) Find(path string, follow bool) (*Node, error) {
	n, links := u.root, 0
	rest := strings.Split(path, "/")
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if n.dirs == nil {
			return nil, &fs.PathError{Op: "find", Path: path, Err: unix.ENOTDIR}
		}
		switch name {
		case "", ".":
			continue
		case "..":
			n = n.parent
			continue
		}
		c, err := n.Child(name)
		if err != nil {
			return nil, &fs.PathError{Op: "find", Path: path, Err: err}
		}
		if !c.Is(unix.S_IFLNK) || len(rest) == 0 && !follow {
			n = c
			continue
		}
		if links++; links > 40 { // as the kernel counts (path_resolution(7))
			return nil, &fs.PathError{Op: "find", Path: path, Err: unix.ELOOP}
		}
		target, err := c.ReadLink()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(target, "/") {
			n = u.root
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return n, nil
}

// Name returns the name of a file in its directory.
func (n *Node) Name() string { return n.name }

// Parent returns the directory that a file is in; the root's is the root.
func (n *Node) Parent() *Node { return n.parent }

// Path returns the path of a file below the root, which leads through no link; the root's is ".".
func (n *Node) Path() string {
	if n.parent == n {
		return "."
	}
	return path.Join(n.parent.Path(), n.name)
}

// Layer returns which layer the file is of; 0 is the top one.
func (n *Node) Layer() int { return n.in.layer }

// IsDir reports whether a file is a directory.
func (n *Node) IsDir() bool { return n.dirs != nil }

// Is reports whether a file is of a kind, such as S_IFLNK.
func (n *Node) Is(kind uint32) bool { return n.Mode&unix.S_IFMT == kind }

// ReadLink returns the target of a symbolic link.
func (n *Node) ReadLink() (string, error) {
	target := make([]byte, unix.PathMax)
	size, err := unix.Readlinkat(n.in.fd, n.in.path+n.name, target)
	if err != nil {
		return "", fmt.Errorf("readlinkat(%q): %w", n.name, err)
	}
	return string(target[:size]), nil
}

// Open opens the topmost file of the name with flags of open(2), and no link.
func (n *Node) Open(flags int) (int, error) {
	fd, err := unix.Openat(n.in.fd, n.in.path+n.name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "openat", Path: n.name, Err: err}
	}
	return fd, nil
}

// Children returns everything that a directory holds, sorted by name.
func (n *Node) Children() ([]*Node, error) {
	var list []*Node
	seen := map[string]bool{}
	for _, dir := range n.dirs {
		names, err := dir.names()
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			c, err := n.Child(name)
			if errors.Is(err, fs.ErrNotExist) { // covered by a whiteout, or gone meanwhile
				continue
			}
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *Node) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

func (p place) names() ([]string, error) {
	if p.path == "" {
		return files.Names(p.fd)
	}
	fd, err := unix.Open(p.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open(%q): %w", p.path, err)
	}
	defer unix.Close(fd)
	return files.Names(fd)
}

// Forget closes the directories of a node that is not asked for again.
func (n *Node) Forget() {
	for _, dir := range n.dirs {
		unix.Close(dir.fd)
		n.fs.open = slices.DeleteFunc(n.fs.open, func(o int) bool { return o == dir.fd })
	}
	delete(n.parent.known, n.name)
}
