package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/state"
)

// Dir is a directory of volumes. Several processes may make and remove volumes at the same time.
// If one is killed in the middle, Notes names the volume to the next process.
type Dir struct {
	Path  string
	Notes state.Notes
}

// Create makes an empty volume with labels, unless there is one of this name.
func (d Dir) Create(name string, labels map[string]string) error {
	return d.make(name, func(build string) error {
		return errors.Join(os.Mkdir(filepath.Join(build, "_data"), 0o755), label(build, labels))
	})
}

// label writes the labels of a volume that is being made.
func label(build string, labels map[string]string) error {
	if len(labels) == 0 {
		return nil
	}
	return state.WriteJSON(filepath.Join(build, "labels.json"), labels, state.Durable)
}

// make makes a volume: all of it, or nothing. If two processes do it at once, the second finds it
// made.
func (d Dir) make(name string, fill func(build string) error) error {
	dir := filepath.Join(d.Path, name)
	if _, err := os.Lstat(dir); err == nil {
		return Check(d.Path, name)
	}
	err := d.Notes.Make(dir, func(build string) error {
		return errors.Join(os.Mkdir(build, 0o755), fill(build))
	})
	if _, made := os.Stat(dir); errors.Is(err, unix.EEXIST) && made == nil {
		return nil
	}
	return err
}

// Prepare makes a volume that is missing, with labels, and calls fill with its directory to put
// there what the volume begins with. With refill, it does so for an existing volume that is empty,
// too. Without fill the volume begins empty.
func (d Dir) Prepare(name string, labels map[string]string, fill func(data string) error, refill bool) error {
	err := d.make(name, func(build string) error {
		data := filepath.Join(build, "_data")
		if err := errors.Join(os.Mkdir(data, 0o755), label(build, labels)); err != nil || fill == nil {
			return err
		}
		return fill(data)
	})
	if err != nil || fill == nil || !refill {
		return err
	}
	return d.refill(filepath.Join(d.Path, name), fill)
}

// AtFile is the path of a file where a volume is to be mounted.
type AtFile string

func (f AtFile) Error() string {
	return "a volume cannot be mounted at " + string(f) +
		": it is a file in the container, and a volume is a directory"
}

// About returns an error of Prepare with the name of the volume, which for AtFile does not matter: it
// may be one that was made up.
func About(name string, err error) error {
	if at := AtFile(""); errors.As(err, &at) {
		return at
	}
	return fmt.Errorf("the volume %s: %w", name, err)
}

// refill fills an empty volume, which other containers may use at this moment: what it is to get
// is made beside it first, and then moved. If this process is killed, the next one goes on.
func (d Dir) refill(dir string, fill func(data string) error) error {
	data, ready := filepath.Join(dir, "_data"), filepath.Join(dir, "ready")
	_, err := os.Stat(ready)
	if err != nil && !files.IsEmpty(data) {
		return nil
	}
	held, err := state.Lock(context.Background(), filepath.Join(dir, "lock"), state.Exclusive)
	if err != nil {
		return err
	}
	defer held.Close()
	if _, err := os.Stat(ready); err != nil && files.IsEmpty(data) {
		err := d.Notes.Make(ready, func(build string) error {
			return errors.Join(os.Mkdir(build, 0o755), fill(build))
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(files.MoveInto(data, ready), d.Notes.RemoveTree(ready))
}

// Remove removes a volume, unless unused returns an error. The volume is renamed before it is
// removed: from then on no container can get it. So unused is asked once more.
func (d Dir) Remove(name string, unused func() error) error {
	dir := filepath.Join(d.Path, name)
	if err := unused(); err != nil {
		return err
	}
	gone, done, err := d.Notes.Note(dir)
	if err != nil {
		return err
	}
	if err := os.Rename(dir, gone); err != nil {
		return errors.Join(err, done())
	}
	if err := unused(); err != nil { // a container got it at the last moment
		back := unix.Renameat2(unix.AT_FDCWD, gone, unix.AT_FDCWD, dir, unix.RENAME_NOREPLACE)
		return errors.Join(err, back, done())
	}
	return errors.Join(d.Notes.RemoveTree(gone), done())
}
