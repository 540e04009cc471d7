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
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage04-unionfs/union"
)

// changes are the lines of box diff.
func (o *overlay) changes() ([]union.Change, error) {
	below, err := union.Open(o.lowers)
	if err != nil {
		return nil, err
	}
	defer below.Close()
	return below.Changes(o.upper)
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
	_, done, err := r.store.notes().Note(file) // if this box is killed, the next one thaws it
	if err != nil {
		return err
	}
	err = setFrozen(r.State.PID, true)
	if err == nil || unix.Kill(r.State.PID, 0) == unix.ESRCH { // with its last process
		err = do()
	}
	return errors.Join(err, cgroupfs.Thaw(file), done())
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
