// What the kernel does at each look-up in an overlay, done by hand: to read a container's
// files without mounting them. A name is looked for from the top layer down. A file hides
// all below it; directories are merged, down to one that is marked opaque; a whiteout, a
// character device 0:0, says that there is nothing (overlayfs in the kernel's
// Documentation/filesystems). Every step opens one name in a directory that is open
// already and follows no link by itself, so a container that runs meanwhile, and swaps
// directories for links, leads nobody out.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// union is a stack of layers that is open for reading.
type union struct {
	root *node
	open []int
}

// place is a directory of one layer: a descriptor, and what to write before a name in it.
type place struct {
	fd   int
	path string
}

// mostOpen is how many layers are kept open; the others are found by their paths. A table of
// descriptors that threads share grows by a wait for all processors, ten milliseconds each
// time, when it has to hold 64, 128, 256….
const mostOpen = 16

// node is a file or a directory of a union.
type node struct {
	unix.Stat_t        // of the topmost
	name        string // in its directory
	in          place
	dirs        []place // the directories that this one is merged of, the top one first
	above       *node
	known       map[string]*node
	union       *union
}

// openUnion opens the directories of a union, the top one first.
func openUnion(layers []string) (*union, error) {
	u := &union{}
	u.root = &node{name: ".", union: u, known: map[string]*node{}}
	u.root.above = u.root
	for i, dir := range layers {
		at, err := u.layer(dir, i < mostOpen)
		if err != nil {
			u.close()
			return nil, fmt.Errorf("open(%q): %w", dir, err)
		}
		u.root.dirs = append(u.root.dirs, at)
	}
	u.root.in = u.root.dirs[0]
	return u, unix.Fstat(u.open[0], &u.root.Stat_t)
}

func (u *union) layer(dir string, open bool) (place, error) {
	if !open {
		return place{unix.AT_FDCWD, dir + "/"}, unix.Access(dir+"/", unix.X_OK)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		u.open = append(u.open, fd)
	}
	return place{fd: fd}, err
}

func (u *union) close() {
	for _, fd := range u.open {
		unix.Close(fd)
	}
}

// child is the file with a name in a directory, or ENOENT.
func (n *node) child(name string) (*node, error) {
	if found := n.known[name]; found != nil {
		return found, nil
	}
	c := &node{name: name, above: n, union: n.union, known: map[string]*node{}}
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
		if isWhiteout(&st) || !isDir && c.dirs != nil {
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

// merge adds the directory of a layer, and tells whether it hides those below.
func (n *node) merge(in place, last bool) (opaque bool, err error) {
	fd, err := unix.Openat(in.fd, in.path+n.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("openat(%q): %w", n.name, err)
	}
	n.dirs, n.union.open = append(n.dirs, place{fd: fd}), append(n.union.open, fd)
	return last || isOpaque(fd), nil
}

func isWhiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 }

// isOpaque tells whether a directory hides what is below it.
func isOpaque(fd int) bool {
	var value [1]byte
	n, err := unix.Fgetxattr(fd, opaqueMark(), value[:])
	return err == nil && n == 1 && value[0] == 'y'
}

// opaqueMark is the attribute that marks a directory: one that only root may set, or for the
// overlay of an ordinary user, who is root in a user namespace, another.
var opaqueMark = sync.OnceValue(func() string {
	if ids, err := os.ReadFile("/proc/self/uid_map"); err == nil && os.Geteuid() == 0 && bytes.Contains(ids, []byte(" 4294967295")) {
		return "trusted.overlay.opaque"
	}
	return "user.overlay.opaque"
})

// find looks a path up as somebody inside would. The last name is followed, if it is a
// link, when follow says so.
func (u *union) find(path string, follow bool) (*node, error) {
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
			n = n.above
			continue
		}
		c, err := n.child(name)
		if err != nil {
			return nil, &fs.PathError{Op: "find", Path: path, Err: err}
		}
		if !c.is(unix.S_IFLNK) || len(rest) == 0 && !follow {
			n = c
			continue
		}
		if links++; links > 40 { // as the kernel counts (path_resolution(7))
			return nil, &fs.PathError{Op: "find", Path: path, Err: unix.ELOOP}
		}
		target, err := c.readLink()
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

func (n *node) is(kind uint32) bool { return n.Mode&unix.S_IFMT == kind }

func (n *node) readLink() (string, error) {
	target := make([]byte, unix.PathMax)
	size, err := unix.Readlinkat(n.in.fd, n.in.path+n.name, target)
	if err != nil {
		return "", fmt.Errorf("readlinkat(%q): %w", n.name, err)
	}
	return string(target[:size]), nil
}

// openFile opens the topmost file, and no link.
func (n *node) openFile(flags int) (int, error) {
	fd, err := unix.Openat(n.in.fd, n.in.path+n.name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "openat", Path: n.name, Err: err}
	}
	return fd, nil
}

// children are all that a directory holds, by name.
func (n *node) children() ([]*node, error) {
	var list []*node
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
			c, err := n.child(name)
			if errors.Is(err, fs.ErrNotExist) { // covered by a whiteout, or gone meanwhile
				continue
			}
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *node) int { return strings.Compare(a.name, b.name) })
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

// forget closes the directories of a node that nobody will ask for again.
func (n *node) forget() {
	for _, dir := range n.dirs {
		unix.Close(dir.fd)
		n.union.open = slices.DeleteFunc(n.union.open, func(o int) bool { return o == dir.fd })
	}
	delete(n.above.known, n.name)
}
