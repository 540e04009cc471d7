package files

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Copier copies files into one tree, which no other process changes. Paths are below its root.
type Copier struct {
	Root int // a descriptor of the directory that the tree is in

	Change func(st *unix.Stat_t) // if not nil, it changes the attributes that the copies get
	Bare   bool                  // leave extended attributes out
	Also   string                // an extended attribute that is copied although it is not Portable

	names map[ID]string // of files that have several, the path that came first
}

// NewCopier makes one for a directory that is open.
func NewCopier(root int) *Copier { return &Copier{Root: root, names: map[ID]string{}} }

// Forget lets files with several names be copied once more: those of the next source have
// nothing to do with those of the last one.
func (c *Copier) Forget() { clear(c.names) }

// Tree copies all that is in a directory into another one, which exists, and then the
// directory's own attributes. also is Copier's.
func Tree(from, to, also string) error {
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
	c := NewCopier(target)
	c.Also = also
	if err := c.tree(source, "."); err != nil {
		return err
	}
	return c.Attributes(source, ".")
}

// tree copies what is in a directory to a path of the tree.
func (c *Copier) tree(from int, to string) error {
	names, err := Names(from)
	if err != nil {
		return about("read the directory", to, err)
	}
	for _, name := range names {
		fd, err := OpenBeneath(from, name, unix.O_PATH)
		if errors.Is(err, unix.ENOENT) {
			continue // gone meanwhile
		}
		if err != nil {
			return about("open", path.Join(to, name), err)
		}
		err = c.File(fd, path.Join(to, name), func(isDir bool) error {
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

// File copies the file that fd refers to, an O_PATH|O_NOFOLLOW descriptor, to a path that has
// no file. fill is called when it is made, to copy what a directory holds: that gets its mode
// and times when it is full. A socket is left out: without its server it is nothing. A file
// that was copied before under another name becomes a link to that copy.
func (c *Copier) File(fd int, to string, fill func(isDir bool) error) error {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return about("stat", to, err)
	}
	id := IDOf(&st)
	if first := c.names[id]; first != "" {
		return about("link", to, unix.Linkat(c.Root, first, c.Root, to, 0))
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
	return c.Attributes(fd, to)
}

// make makes a file of the same kind with the same content, unless it is a socket.
func (c *Copier) make(fd int, st *unix.Stat_t, to string) (made bool, err error) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return false, nil
	case unix.S_IFDIR:
		err = unix.Mkdirat(c.Root, to, 0o700)
	case unix.S_IFREG:
		err = c.content(fd, to)
	case unix.S_IFLNK:
		var target string
		if target, err = ReadLink(fd); err == nil {
			err = unix.Symlinkat(target, c.Root, to)
		}
	default:
		err = unix.Mknodat(c.Root, to, st.Mode&(unix.S_IFMT|0o7777), int(st.Rdev))
	}
	return err == nil, about("make", to, err)
}

// content lets the kernel copy (copy_file_range(2)): on some file systems that is no more
// than a note that two files share their blocks.
func (c *Copier) content(fd int, to string) error {
	from, err := os.Open(FDPath(fd))
	if err != nil {
		return err
	}
	defer from.Close()
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	target, err := unix.Openat(c.Root, to, flags, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(target), to)
	_, err = file.ReadFrom(from)
	return errors.Join(err, file.Close())
}

// Attributes gives a copy the owner, mode, extended attributes and times of the file that fd
// refers to: the owner before the mode, because a change of owner takes the setuid bit away;
// the times last. An ordinary user cannot give files away, and stays the owner.
func (c *Copier) Attributes(fd int, to string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return about("stat", to, err)
	}
	if c.Change != nil {
		c.Change(&st)
	}
	if os.Geteuid() == 0 {
		err := unix.Fchownat(c.Root, to, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
		if err != nil {
			return about("chown", to, err)
		}
	}
	kind := st.Mode & unix.S_IFMT
	if (kind == unix.S_IFREG || kind == unix.S_IFDIR) && !c.Bare {
		if err := c.xattrs(fd, to); err != nil {
			return err
		}
	}
	if kind != unix.S_IFLNK {
		if err := unix.Fchmodat(c.Root, to, st.Mode&0o7777, 0); err != nil {
			return about("chmod", to, err)
		}
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	return about("utimensat", to, unix.UtimesNanoAt(c.Root, to, times, unix.AT_SYMLINK_NOFOLLOW))
}

// xattrs copies the extended attributes that belong to the file.
func (c *Copier) xattrs(fd int, to string) error {
	names, err := Xattrs(fd)
	if len(names) == 0 || err != nil {
		return about("listxattr", to, err)
	}
	target, err := unix.Openat(c.Root, to, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", to, err)
	}
	defer unix.Close(target)
	for _, name := range names {
		if !Portable(name) && name != c.Also {
			continue
		}
		value, err := Xattr(fd, name)
		if err == nil {
			err = unix.Setxattr(FDPath(target), name, []byte(value), 0)
		}
		if err != nil {
			return about("setxattr "+name, to, err)
		}
	}
	return nil
}
