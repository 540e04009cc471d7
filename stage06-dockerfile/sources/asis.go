package sources

import (
	"os"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
	"stagebox/stage06-dockerfile/dockerfile"
)

// AsIs reports whether a directory can be shown to a step without a copy: .dockerignore leaves
// nothing of it out, everything in it belongs to the caller, who is root inside, and there are
// only files, directories and links.
func AsIs(dir *union.Node, ignore *dockerfile.Ignore) (bool, error) {
	children, err := dir.Children()
	for _, n := range children {
		if err != nil {
			break
		}
		if int(n.Uid) != os.Geteuid() || int(n.Gid) != os.Getegid() {
			return false, nil
		}
		if ignore != nil {
			if ignored, _, err := ignore.Ignores(n.Path(), n.IsDir()); ignored || err != nil {
				return false, err
			}
		}
		asIs := n.Is(unix.S_IFREG) || n.Is(unix.S_IFLNK)
		if n.IsDir() {
			asIs, err = AsIs(n, ignore)
		}
		if !asIs {
			return false, err
		}
	}
	return err == nil, err
}
