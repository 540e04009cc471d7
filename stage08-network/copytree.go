// Copying files with all that they are: kind, owner, mode, times, extended attributes, and
// several names for one file. Sources are opened without following a link, because somebody
// may change them meanwhile; the tree that is made is nobody else's yet.
package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// copier copies files into one tree.
type copier struct {
	root  int              // the descriptor of the tree
	names map[inode]string // of files that have several, the path that came first
	marks bool             // overlay's marks are copied too: the tree will be a layer

	change func(st *unix.Stat_t) // if not nil, makes the attributes of the copy
	bare   bool                  // without extended attributes
}

func newCopier(root int) *copier { return &copier{root: root, names: map[inode]string{}} }

// copyTree copies all that is in a directory into another one, which exists.
func copyTree(from, to string, marks bool) error {
	source, err := unix.Open(from, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", from, err)
	}
	defer unix.Close(source)
	target, err := unix.Open(to, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", to, err)
	}
	defer unix.Close(target)
	c := newCopier(target)
	c.marks = marks
	if err := c.tree(source, "."); err != nil {
		return err
	}
	return c.attributes(source, ".")
}

// tree copies what is in a directory to a path of the tree.
func (c *copier) tree(from int, to string) error {
	names, err := namesIn(from)
	if err != nil {
		return about("read the directory", to, err)
	}
	for _, name := range names {
		fd, err := openBeneath(from, name, unix.O_PATH)
		if errors.Is(err, unix.ENOENT) {
			continue // gone meanwhile
		}
		if err != nil {
			return about("open", path.Join(to, name), err)
		}
		err = c.file(fd, path.Join(to, name), func(isDir bool) error {
			if !isDir {
				return nil
			}
			return c.tree(fd, path.Join(to, name))
		})
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return nil
}

// node copies what is in a directory of a union.
func (c *copier) node(n *node, to string) error {
	children, err := n.children()
	if err != nil {
		return err
	}
	for _, child := range children {
		fd, err := child.openFile(unix.O_PATH)
		if err != nil {
			return err
		}
		err = c.file(fd, path.Join(to, child.name), func(isDir bool) error {
			if !isDir {
				return nil
			}
			return c.node(child, path.Join(to, child.name))
		})
		unix.Close(fd)
		if err != nil {
			return err
		}
		child.forget()
	}
	return nil
}

// file copies what fd, an O_PATH|O_NOFOLLOW descriptor, refers to. fill copies what is in
// it: a directory gets its mode and times when it is full.
func (c *copier) file(fd int, to string, fill func(isDir bool) error) error {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return about("stat", to, err)
	}
	id := inode{uint64(st.Dev), st.Ino}
	if first := c.names[id]; first != "" {
		return about("link", to, unix.Linkat(c.root, first, c.root, to, 0))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Nlink > 1 {
		c.names[id] = to
	}
	made, err := c.make(fd, &st, to)
	if err != nil || !made {
		return err
	}
	if err := fill(st.Mode&unix.S_IFMT == unix.S_IFDIR); err != nil {
		return err
	}
	return c.attributes(fd, to)
}

// make makes a file of the same kind with the same content. A socket it leaves out: without
// its server it is nothing.
func (c *copier) make(fd int, st *unix.Stat_t, to string) (made bool, err error) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return false, nil
	case unix.S_IFDIR:
		err = unix.Mkdirat(c.root, to, 0o700)
	case unix.S_IFREG:
		err = c.content(fd, to)
	case unix.S_IFLNK:
		var target string
		if target, err = readLink(fd); err == nil {
			err = unix.Symlinkat(target, c.root, to)
		}
	default:
		err = unix.Mknodat(c.root, to, st.Mode&(unix.S_IFMT|0o7777), int(st.Rdev))
	}
	return err == nil, about("make", to, err)
}

// content lets the kernel copy (copy_file_range(2)): on some file systems that is no more
// than a note that two files share their blocks.
func (c *copier) content(fd int, to string) error {
	from, err := os.Open(procFD(fd))
	if err != nil {
		return err
	}
	defer from.Close()
	target, err := unix.Openat(c.root, to, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(target), to)
	_, err = file.ReadFrom(from)
	return errors.Join(err, file.Close())
}

// attributes gives a file its owner, mode, extended attributes and times: the owner before
// the mode, because a change of owner takes the setuid bit away; the times last.
func (c *copier) attributes(fd int, to string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return about("stat", to, err)
	}
	if c.change != nil {
		c.change(&st)
	}
	if os.Geteuid() == 0 {
		if err := unix.Fchownat(c.root, to, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return about("chown", to, err)
		}
	}
	kind := st.Mode & unix.S_IFMT
	if (kind == unix.S_IFREG || kind == unix.S_IFDIR) && !c.bare {
		if err := c.xattrs(fd, to); err != nil {
			return err
		}
	}
	if kind != unix.S_IFLNK {
		if err := unix.Fchmodat(c.root, to, st.Mode&0o7777, 0); err != nil {
			return about("chmod", to, err)
		}
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	return about("utimensat", to, unix.UtimesNanoAt(c.root, to, times, unix.AT_SYMLINK_NOFOLLOW))
}

// xattrs copies the extended attributes that belong to the file, and of overlay's marks the
// one that is about the layer.
func (c *copier) xattrs(fd int, to string) error {
	list, err := readXattr(fd, "")
	if list == "" || err != nil {
		return about("listxattr", to, err)
	}
	target, err := unix.Openat(c.root, to, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", to, err)
	}
	defer unix.Close(target)
	for name := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		if !portable(name) && !(c.marks && name == opaqueMark()) {
			continue
		}
		value, err := readXattr(fd, name)
		if err == nil {
			err = unix.Setxattr(procFD(target), name, []byte(value), 0)
		}
		if err != nil {
			return about("setxattr "+name, to, err)
		}
	}
	return nil
}

// about says which operation on which file has failed.
func about(operation, path string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %q: %w", operation, path, err)
	}
	return nil
}
