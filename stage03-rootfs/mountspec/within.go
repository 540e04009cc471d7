package mountspec

import (
	"path"
	"path/filepath"
	"slices"

	"stagebox/stage03-rootfs/rootdir"
)

// Has reports whether a mount lies on a path.
func Has(list []Spec, target string) bool {
	return slices.ContainsFunc(list, func(s Spec) bool { return s.Target == target })
}

// Open returns a function that opens a file of a root in which mounts lie on directories: that of the
// host's that is mounted on the file's own directory, or else, with open, that of the root.
func Open(list []Spec, open func(name string, flags uint64) (fd int, err error)) func(string, uint64) (int, error) {
	return func(name string, flags uint64) (int, error) {
		i := slices.IndexFunc(list, func(s Spec) bool { return s.Target == path.Dir(name) })
		if i < 0 {
			return open(name, flags)
		}
		return rootdir.Open(filepath.Join(list[i].Source, list[i].Subpath), path.Base(name), flags)
	}
}
