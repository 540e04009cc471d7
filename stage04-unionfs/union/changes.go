package union

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// Change is what a layer does to a path of those below it: A for added, C for changed, D for
// deleted.
type Change struct {
	Kind byte
	Path string
}

// Changes compares a directory that lies on top of a stack of layers with what these hold, as docker
// diff does: a directory has changed when its mode or owner has, or something in it; a file when its
// mode, owner, size, time or capabilities have. The cost depends on what is in the upper directory
// alone. The changes are sorted by path.
func (u *FS) Changes(upper string) ([]Change, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(upper, flags, 0)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", upper, err)
	}
	defer unix.Close(fd)
	list, err := changesIn(fd, "/", u.root, false)
	slices.SortFunc(list, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return list, err
}

// changesIn compares a directory of the upper layer with the one in its place below, or nil.
// A directory in an opaque one hides what is below without a mark of its own.
func changesIn(dir int, prefix string, below *Node, opaque bool) ([]Change, error) {
	opaque = opaque || IsOpaque(dir)
	names, err := files.Names(dir)
	if err != nil {
		return nil, fmt.Errorf("read the directory %q: %w", prefix, err)
	}
	var list []Change
	there := map[string]bool{}
	for _, name := range names {
		there[name] = true
		fd, err := files.OpenBeneath(dir, name, unix.O_PATH)
		if errors.Is(err, unix.ENOENT) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("open %q: %w", path.Join(prefix, name), err)
		}
		more, err := changesOf(fd, path.Join(prefix, name), below, opaque)
		unix.Close(fd)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	if below == nil || !below.IsDir() || !opaque {
		return list, nil
	}
	gone, err := below.Children()
	for _, n := range gone {
		if !there[n.Name()] {
			list = append(list, Change{'D', path.Join(prefix, n.Name())})
		}
	}
	return list, err
}

// changesOf compares one file of the upper layer, and what is in it.
func changesOf(fd int, name string, dir *Node, opaque bool) ([]Change, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return nil, fmt.Errorf("stat %q: %w", name, err)
	}
	var below *Node
	if dir != nil {
		n, err := dir.Child(path.Base(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		below = n
	}
	switch {
	case IsWhiteout(&st) && below == nil:
		return nil, nil
	case IsWhiteout(&st):
		return []Change{{'D', name}}, nil
	}
	var list []Change
	if below == nil {
		list = []Change{{'A', name}}
	} else if differs, err := below.Differs(fd, &st); err != nil {
		return nil, err
	} else if differs {
		list = []Change{{'C', name}}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return list, nil
	}
	open, err := os.OpenFile(files.FDPath(fd), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", name, err)
	}
	defer open.Close()
	inside, err := changesIn(int(open.Fd()), name, below, opaque)
	if len(list) == 0 && len(inside) > 0 {
		list = []Change{{'C', name}}
	}
	return append(list, inside...), err
}
