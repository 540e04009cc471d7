// What a container has changed is all in its upper directory (overlayfs in the kernel's
// Documentation/filesystems): files that are new or were copied up, whiteouts for those that
// are gone, and directories marked opaque, which were removed and made anew. box diff reads
// it, box commit makes a layer of it, box export writes what it makes of the layers below.
// The cost follows what has changed, not what the layers hold.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
)

// change is a line of box diff: A for added, C for changed, D for deleted.
type change struct {
	kind byte
	path string
}

// changes compares the upper directory with the layers below it, as docker diff does: a
// directory has changed when its mode or owner has, or something in it; a file when its mode,
// owner, size, time or capabilities have.
func (o *overlay) changes() ([]change, error) {
	below, err := openUnion(o.lowers)
	if err != nil {
		return nil, err
	}
	defer below.close()
	fd, err := unix.Open(o.upper, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, about("open", o.upper, err)
	}
	defer unix.Close(fd)
	list, err := changesIn(fd, "/", below.root, false)
	slices.SortFunc(list, func(a, b change) int { return strings.Compare(a.path, b.path) })
	return list, err
}

// changesIn compares a directory of the upper layer with the one in its place below, or nil.
// What is in an opaque directory needs no mark of its own to hide what is below.
func changesIn(dir int, prefix string, below *node, opaque bool) ([]change, error) {
	opaque = opaque || isOpaque(dir)
	names, err := files.Names(dir)
	if err != nil {
		return nil, about("read the directory", prefix, err)
	}
	var list []change
	there := map[string]bool{}
	for _, name := range names {
		there[name] = true
		fd, err := files.OpenBeneath(dir, name, unix.O_PATH)
		if errors.Is(err, unix.ENOENT) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, about("open", path.Join(prefix, name), err)
		}
		more, err := changesOf(fd, path.Join(prefix, name), below, opaque)
		unix.Close(fd)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	if below == nil || below.dirs == nil || !opaque {
		return list, nil
	}
	gone, err := below.children()
	for _, n := range gone {
		if !there[n.name] {
			list = append(list, change{'D', path.Join(prefix, n.name)})
		}
	}
	return list, err
}

// changesOf compares one file of the upper layer, and what is in it.
func changesOf(fd int, name string, dir *node, opaque bool) ([]change, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return nil, about("stat", name, err)
	}
	var below *node
	if dir != nil {
		n, err := dir.child(path.Base(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		below = n
	}
	switch {
	case isWhiteout(&st) && below == nil:
		return nil, nil
	case isWhiteout(&st):
		return []change{{'D', name}}, nil
	}
	var list []change
	if below == nil {
		list = []change{{'A', name}}
	} else if differs, err := below.differs(fd, &st); err != nil {
		return nil, err
	} else if differs {
		list = []change{{'C', name}}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return list, nil
	}
	open, err := os.OpenFile(files.FDPath(fd), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, about("open", name, err)
	}
	defer open.Close()
	inside, err := changesIn(int(open.Fd()), name, below, opaque)
	if len(list) == 0 && len(inside) > 0 {
		list = []change{{'C', name}}
	}
	return append(list, inside...), err
}

// differs tells whether a file is another one than this of a lower layer.
func (n *node) differs(fd int, st *unix.Stat_t) (bool, error) {
	if st.Mode != n.Mode || st.Uid != n.Uid || st.Gid != n.Gid || st.Rdev != n.Rdev {
		return true, nil
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return false, nil
	}
	if st.Size != n.Size || st.Mtim != n.Mtim {
		return true, nil
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false, nil
	}
	old, err := n.openFile(unix.O_PATH)
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

// asInside runs the same command as user 0 of an ordinary user's containers: what others in
// there have made, and what its owner has made unreadable, can be read there only.
func (s Store) asInside() error {
	return asOwner(s, append([]string{"/proc/self/exe"}, os.Args[1:]...)...)
}

// make makes a file or directory of the user's: all of it, or nothing. The flags are those of
// renameat2(2).
func (s Store) make(path string, flags uint, fill func(build string) error) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	build := filepath.Join(filepath.Dir(path), "."+ids.New()[:12])
	done, err := s.noteUnfinished(build)
	if err != nil {
		return err
	}
	if err = fill(build); err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, build, unix.AT_FDCWD, path, flags)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), removeTree(build), done())
	}
	return errors.Join(state.SyncDir(filepath.Dir(path)), done())
}

// commit makes a directory that can be a layer, of the upper directory.
func (r *Record) commit(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := files.Tree(r.path("upper"), dir, opaqueMark()); err != nil {
		return err
	}
	return files.Sync(dir)
}

// whileFrozen does something while the container's processes are stopped, if it runs, and if its
// cgroup is one that can be stopped.
func (r *Record) whileFrozen(do func() error) error {
	g, err := groupOf(r.State.PID)
	if err != nil || !r.isRunning() || r.isPaused() {
		return do()
	}
	dir, _ := g.dir("")
	file := filepath.Join(dir, "cgroup.freeze")
	if unix.Access(file, unix.W_OK) != nil {
		return do()
	}
	done, err := r.store.noteUnfinished(file)
	if err != nil {
		return err
	}
	if err = freeze(r.State.PID, true); err == nil {
		err = do()
	}
	return errors.Join(err, os.WriteFile(file, []byte("0"), 0), done())
}

func (r *Record) exportTo(path string) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(r.export(out), out.Close())
}

// export writes the container's files, as it sees them without its mounts, as a tar stream.
func (r *Record) export(out *os.File) error {
	u, err := r.overlay().union()
	if err != nil {
		return err
	}
	defer u.close()
	a := files.NewArchive(out)
	if err := exportNode(a, u.root, ""); err != nil {
		return err
	}
	return a.Close()
}

func exportNode(a *files.Archive, dir *node, prefix string) error {
	children, err := dir.children()
	if err != nil {
		return err
	}
	for _, n := range children {
		name := path.Join(prefix, n.name)
		fd, err := n.openFile(unix.O_PATH)
		if err != nil {
			return err
		}
		err = a.Add(name, fd)
		unix.Close(fd)
		if err == nil && n.dirs != nil {
			err = exportNode(a, n, name)
		}
		if err != nil {
			return err
		}
		n.forget()
	}
	return nil
}
