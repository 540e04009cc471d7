package union

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// Copy copies a directory into an existing one: everything that is in it, and its own attributes.
func (n *Node) Copy(dir string) error {
	to, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %q: %w", dir, err)
	}
	defer unix.Close(to)
	c := files.NewCopier(to)
	if err := n.copyTo(c, "."); err != nil {
		return err
	}
	top, err := n.Open(unix.O_RDONLY | unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	return c.Attributes(top, ".")
}

func (n *Node) copyTo(c *files.Copier, to string) error {
	return n.each(func(child *Node, fd int) error {
		name := path.Join(to, child.name)
		return c.File(fd, name, func(isDir bool) error {
			if !isDir {
				return nil
			}
			return child.copyTo(c, name)
		})
	})
}

// ArchiveTo adds everything that is in a directory to an archive, its names below prefix.
func (n *Node) ArchiveTo(a *files.Archive, prefix string) error {
	return n.each(func(child *Node, fd int) error {
		name := path.Join(prefix, child.name)
		if err := a.Add(name, fd); err != nil {
			return err
		}
		return child.ArchiveTo(a, name)
	})
}

// Walk visits everything that is in a directory, each with a descriptor of O_PATH, and a directory
// before the files in it.
func (n *Node) Walk(visit func(child *Node, fd int) error) error {
	return n.each(func(child *Node, fd int) error {
		if err := visit(child, fd); err != nil {
			return err
		}
		return child.Walk(visit)
	})
}

// each visits the children of a directory, each with a descriptor of O_PATH, and forgets them.
func (n *Node) each(visit func(child *Node, fd int) error) error {
	children, err := n.Children()
	if err != nil {
		return err
	}
	for _, child := range children {
		fd, err := child.Open(unix.O_PATH)
		if err != nil {
			return err
		}
		err = visit(child, fd)
		unix.Close(fd)
		if err != nil {
			return err
		}
		child.Forget()
	}
	return nil
}

// Differs reports whether a file of a layer above, with its result of stat(2), is another one
// than this: in its mode or owner; and if it is not a directory, in size, time of change or
// capabilities. Contents are not compared.
func (n *Node) Differs(fd int, st *unix.Stat_t) (bool, error) {
	if st.Mode != n.Mode || st.Uid != n.Uid || st.Gid != n.Gid || st.Rdev != n.Rdev {
		return true, nil
	}
	if n.IsDir() {
		return false, nil
	}
	if st.Size != n.Size || st.Mtim != n.Mtim {
		return true, nil
	}
	if !n.Is(unix.S_IFREG) {
		return false, nil
	}
	old, err := n.Open(unix.O_PATH)
	if err != nil {
		return false, err
	}
	defer unix.Close(old)
	before, errBefore := capabilityOf(old)
	now, errNow := capabilityOf(fd)
	return before != now, errors.Join(errBefore, errNow)
}

// capabilityOf is the attribute that gives a program rights (capabilities(7)), or "".
func capabilityOf(fd int) (string, error) {
	value, err := files.Xattr(fd, "security.capability")
	if errors.Is(err, unix.ENODATA) {
		return "", nil
	}
	return value, err
}
