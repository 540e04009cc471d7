// What a container has changed is all in its upper directory (overlayfs in the kernel's
// Documentation/filesystems): files that are new or were copied up, whiteouts for those that
// are gone, and opaque directories, which were removed and made again. box diff reads it, box
// commit makes a layer of it, and box export writes the layers and these changes as one tree. The
// cost depends on the size of the changes, not of the layers.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage04-unionfs/union"
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
	below, err := union.Open(o.lowers)
	if err != nil {
		return nil, err
	}
	defer below.Close()
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(o.upper, flags, 0)
	if err != nil {
		return nil, about("open", o.upper, err)
	}
	defer unix.Close(fd)
	list, err := changesIn(fd, "/", below.Root(), false)
	slices.SortFunc(list, func(a, b change) int { return strings.Compare(a.path, b.path) })
	return list, err
}

// changesIn compares a directory of the upper layer with the one in its place below, or nil.
// A directory in an opaque one hides what is below without a mark of its own.
func changesIn(dir int, prefix string, below *union.Node, opaque bool) ([]change, error) {
	opaque = opaque || union.IsOpaque(dir)
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
	if below == nil || !below.IsDir() || !opaque {
		return list, nil
	}
	gone, err := below.Children()
	for _, n := range gone {
		if !there[n.Name()] {
			list = append(list, change{'D', path.Join(prefix, n.Name())})
		}
	}
	return list, err
}

// changesOf compares one file of the upper layer, and what is in it.
func changesOf(fd int, name string, dir *union.Node, opaque bool) ([]change, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return nil, about("stat", name, err)
	}
	var below *union.Node
	if dir != nil {
		n, err := dir.Child(path.Base(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		below = n
	}
	switch {
	case union.IsWhiteout(&st) && below == nil:
		return nil, nil
	case union.IsWhiteout(&st):
		return []change{{'D', name}}, nil
	}
	var list []change
	if below == nil {
		list = []change{{'A', name}}
	} else if differs, err := below.Differs(fd, &st); err != nil {
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

// commit makes a directory that can be a layer, of the upper directory.
func (r *Record) commit(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := files.Tree(r.path("upper"), dir, union.OpaqueMark()); err != nil {
		return err
	}
	return files.Sync(dir)
}

// whileFrozen does something while the container's processes are stopped, if it runs, and if
// its cgroup is one that can be stopped. A container that ends meanwhile, or is just ending,
// stays as its last process has left it: its end waits for the lock.
func (r *Record) whileFrozen(do func() error) error {
	held, err := state.Lock(context.Background(), r.path("lock"), state.Shared)
	if err != nil {
		return fmt.Errorf("container %s: %w", r.Name, err)
	}
	defer held.Close()
	if r, err = r.store.present(r.ID); err == nil { // it may have been started again
		err = r.checkDirs()
	}
	if err != nil {
		return err
	}
	g, err := groupOf(r.State.PID)
	if err != nil || !r.isRunning() || r.isPaused() {
		return do()
	}
	dir, _ := g.dir("")
	file := filepath.Join(dir, "cgroup.freeze")
	if unix.Access(file, unix.W_OK) != nil {
		return do()
	}
	_, done, err := r.store.noteUnfinished(file) // if this box is killed, the next one thaws it
	if err != nil {
		return err
	}
	err = setFrozen(r.State.PID, true)
	if err == nil || unix.Kill(r.State.PID, 0) == unix.ESRCH { // with its last process
		err = do()
	}
	return errors.Join(err, thaw(file), done())
}

// export writes the container's files, as it sees them without its mounts, as a tar stream.
func (r *Record) export(out io.Writer) error {
	u, err := r.overlay().union()
	if err != nil {
		return err
	}
	defer u.Close()
	a := files.NewArchive(out)
	if err := u.Root().ArchiveTo(a, ""); err != nil {
		return err
	}
	return a.Close()
}
