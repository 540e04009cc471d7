package runtimespec

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/rootdir"
)

// isBind reports whether a mount is a bind mount.
func isBind(m specs.Mount) bool {
	o, err := ParseMount(m)
	return err == nil && o.Bind
}

// HasHostsDev reports whether /dev is a bind mount of a directory of the host.
func HasHostsDev(spec *specs.Spec) bool {
	return slices.ContainsFunc(spec.Mounts, func(m specs.Mount) bool {
		return path.Clean(m.Destination) == "/dev" && isBind(m)
	})
}

// Place is a path that exists in the container.
type Place struct {
	Path  string
	IsDir bool
}

// Present returns those of the paths that exist in the container.
func Present(spec *specs.Spec, paths []string) (list []Place) {
	for _, name := range paths {
		if there, isDir := look(spec, name); there {
			list = append(list, Place{name, isDir})
		}
	}
	return list
}

// IsBare reports whether a directory of the root has nothing that a tmpfs could begin with.
func IsBare(spec *specs.Spec, dir string) bool {
	fd, err := rootdir.Open(spec.Root.Path, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return true
	}
	file := os.NewFile(uintptr(fd), dir)
	defer file.Close()
	names, _ := file.Readdirnames(1)
	return len(names) == 0
}

// look reports whether a path is there in the container, and a directory.
func look(spec *specs.Spec, name string) (there, isDir bool) {
	st, err := stat(spec, name)
	return err == nil, st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// stat looks at a path of the container: in the last of mounts that covers it, or in the root. A new
// file system is empty, but /proc, /sys and the cgroups are like the host's.
func stat(spec *specs.Spec, name string) (st unix.Stat_t, err error) {
	root, at := spec.Root.Path, name
	for _, m := range spec.Mounts {
		below, covers := strings.CutPrefix(path.Clean(name)+"/", path.Clean("/"+m.Destination)+"/")
		switch {
		case !covers:
		case isBind(m):
			root, at = "/", filepath.Join(m.Source, below)
		case m.Type == "proc", m.Type == "sysfs", strings.HasPrefix(m.Type, "cgroup"):
			root, at = "/", name
		default:
			root = "" // which cannot be opened
		}
	}
	fd, err := rootdir.Open(root, at, unix.O_PATH)
	if err != nil {
		return st, err
	}
	defer unix.Close(fd)
	return st, unix.Fstat(fd, &st)
}
