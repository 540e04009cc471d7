// The layers below, as a union that finds files by their paths and follows no link.

package copyup

import (
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
)

type lower struct{ *union.FS }

// node finds a file by its path from the root, which is ".".
func (l lower) node(name string) (n *union.Node, err error) {
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

// Stat describes a file, and returns the target of a link. The error of a missing file is ENOENT.
func (l lower) Stat(name string) (st unix.Stat_t, link string, err error) {
	n, err := l.node(name)
	if err != nil {
		return st, "", err
	}
	if n.Is(unix.S_IFLNK) {
		link, err = n.ReadLink()
	}
	return n.Stat_t, link, err
}

// withFile opens a file of a union and calls do.
func withFile(n *union.Node, do func(fd int) error) error {
	fd, err := n.Open(unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}
