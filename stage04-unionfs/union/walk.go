package union

import (
	"path"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// CopyTo copies everything that is in a directory into the directory to of a Copier.
func (n *Node) CopyTo(c *files.Copier, to string) error {
	return n.each(func(child *Node, fd int) error {
		name := path.Join(to, child.name)
		return c.File(fd, name, func(isDir bool) error {
			if !isDir {
				return nil
			}
			return child.CopyTo(c, name)
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
