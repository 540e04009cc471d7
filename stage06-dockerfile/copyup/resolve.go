// Following the links of a path without leaving the layer.

package copyup

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// mostLinks is how many links may be followed, as in the kernel (path_resolution(7)).
const mostLinks = 40

// Resolve follows the links of a path, and returns the path they lead to, which need not exist.
// With make, each part of it that is missing is made as a directory that belongs to who.
func (w *Writer) Resolve(name string, make bool, who Owner) (string, error) {
	return w.resolveIn(".", name, make, who)
}

// resolveIn follows the links of a path in a directory that nothing leads out of, as if it were the
// root. With make, all of the path is made directories, and new ones get the owner.
func (w *Writer) resolveIn(root, name string, make bool, who Owner) (string, error) {
	real, links := root, 0
	for rest := strings.Split(name, "/"); len(rest) > 0; {
		next := path.Join(real, rest[0])
		if rest[0] == ".." && real == root {
			next = real
		}
		if rest = rest[1:]; next == real || len(next) < len(real) {
			real = next
			continue
		}
		st, link, err := w.Stat(next)
		if err != nil {
			return "", err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			if links++; links > mostLinks {
				return "", fmt.Errorf("%s: too many links on the way", name)
			}
			if strings.HasPrefix(link, "/") {
				real = root
			}
			rest = append(strings.Split(link, "/"), rest...)
			continue
		}
		if isOther(&st) && (make || len(rest) > 0) {
			return "", fmt.Errorf("/%s is a file where a directory is needed", next)
		}
		if make {
			if err := w.Mkdir(next, st.Mode != 0, who); err != nil {
				return "", err
			}
		}
		real = next
	}
	return real, nil
}
