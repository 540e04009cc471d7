// A container that lasts: a directory in the store with its record, its own layer and its
// log. While it runs, the box that stays with it holds a lock on a file of its name in
// running/, so everybody can see whether it lives, and what a box that was killed has left
// behind. Its name is a symbolic link beside it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
)

// Record is what is known of a container, in containers/ID/container.json.
type Record struct {
	ID      string
	Name    string
	Created time.Time
	Run     *Container // as it was asked for
	Volumes []string   // those that have no name of the user's
	State   State

	Image   string        // as it was asked for
	ImageID digest.Digest // "" for a container of plain directories

	store Store
	lock  *os.File // while this box is at work on it
	ready *os.File // for the monitor to say that it runs
	log   *logging
	files *union // of its root, while a run is planned
}

// State is how it stands with the process.
type State struct {
	Status     string // created, running, exited
	PID        int    // as the host counts, while it runs
	ExitCode   int    // as a shell has it
	StartedAt  time.Time
	FinishedAt time.Time
}

// exit notes an exit status.
func (s *State) exit(status int) {
	s.Status, s.PID, s.ExitCode, s.FinishedAt = "exited", 0, status, time.Now()
}

// begin gives a container with a root of its own its place on disk. It returns nil for one
// that lives on the host's files, of which nothing stays.
func begin(c *Container, p *Plan) (*Record, error) {
	if c.record == nil {
		done, err := c.fromImage()
		if err != nil {
			return nil, err
		}
		defer done()
		if err := c.layers(); err != nil {
			return nil, err
		}
		if c.Rootfs == "" {
			return nil, c.rejectStoreFlags()
		}
		if err := c.create(); err != nil {
			return nil, err
		}
	}
	r := c.record
	if r.isElsewhere() {
		err := r.detach()
		if err == nil {
			_, err = fmt.Println(r.ID)
		}
		return r, err
	}
	if err := r.openLog(p); err != nil {
		return nil, r.end(err)
	}
	p.started = r.running
	return r, nil
}

// isElsewhere tells whether another process, the monitor, runs the container.
func (r *Record) isElsewhere() bool {
	return r != nil && r.Run.Detach && r.ready == nil && !r.Run.DryRun
}

// create makes the record and its directory: complete, under a name with a dot, then under
// its own.
func (c *Container) create() (err error) {
	r := &Record{ID: ids.New(), Name: c.Name, Created: time.Now(), Run: c, store: c.Store, State: State{Status: "created"}}
	if c.source != nil {
		r.Image, r.ImageID = c.imageName, c.source.ID
	}
	if c.record = r; c.DryRun {
		return nil
	}
	if err := c.resolve(); err != nil {
		return err
	}
	if err := c.nameVolumes(r); err != nil {
		return err
	}
	if err := c.Store.open(); err != nil {
		return err
	}
	if r.lock, err = createLocked(r.livePath()); err != nil {
		return err
	}
	if err := r.make(); err != nil {
		return errors.Join(err, r.remove())
	}
	return nil
}

// make writes what create has decided.
func (r *Record) make() error {
	dir := r.newPath()
	for _, path := range []string{dir, dir + "/upper", dir + "/work", dir + "/merged"} {
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
	}
	o := r.overlay()
	o.upper = dir + "/upper"
	if err := o.copyRootMode(); err != nil {
		return err
	}
	if err := r.takeName(); err != nil {
		return err
	}
	if err := os.Rename(dir, r.path()); err != nil {
		return err
	}
	if r.isDurable() {
		return state.SyncDir(r.store.path("containers"))
	}
	return nil
}

// isDurable reports whether the record has to outlive the machine.
func (r *Record) isDurable() state.Durability { return state.Durability(!r.Run.Rm) }

// takeName makes the link that is the name: of two containers, only one can. The record that
// knows of it is written before, so that it can be found and removed if box is killed.
func (r *Record) takeName() error {
	random := r.Name == ""
	if !random && (!ids.IsName(r.Name) || ids.IsID(r.Name) || ids.IsNumber(r.Name)) {
		return fmt.Errorf("--name %q: a name is made of letters, digits and _ . -, begins with a letter or digit, and is no number and no id", r.Name)
	}
	for {
		if random {
			r.Name = ids.TwoWords()
		}
		file := filepath.Join(r.newPath(), "container.json")
		if err := state.WriteJSON(file, r, r.isDurable()); err != nil {
			return err
		}
		err := os.Symlink(r.ID, r.store.path("containers", r.Name))
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if !random {
			return fmt.Errorf("--name %s: a container has this name already; box rm %s removes it, if it has ended", r.Name, r.Name)
		}
	}
}

func (r *Record) path(names ...string) string {
	return r.store.path(append([]string{"containers", r.ID}, names...)...)
}
func (r *Record) newPath() string  { return r.store.path("containers", "."+r.ID) }
func (r *Record) livePath() string { return r.store.path("running", r.ID) }

// overlay is the container's root.
func (r *Record) overlay() *overlay {
	return &overlay{lowers: append(r.Run.topFirst(), r.store.path("mountpoints")), upper: r.path("upper"), work: r.path("work"), merged: r.path("merged"), volatile: r.Run.Rm}
}

// running notes that the process runs.
func (r *Record) running(pid int) error {
	before := r.State
	r.State = State{Status: "running", PID: pid, StartedAt: time.Now()}
	if err := r.write(); err != nil {
		r.State = before
		return err
	}
	return r.announce()
}

func (r *Record) write() error {
	return state.WriteJSON(r.path("container.json"), r, r.isDurable())
}

// end notes how the process has ended, and lets go of the container. One that never ran
// leaves nothing.
func (r *Record) end(how error) error {
	if r == nil || r.lock == nil {
		return how
	}
	if err := r.finish(how); err != nil {
		fmt.Fprintf(os.Stderr, "box: container %s: %v\n", r.Name, err)
	}
	return how
}

func (r *Record) finish(how error) (err error) {
	doomed, ran := r.autoRemove(), r.State.Status == "running"
	if ran {
		var status plan.ExitStatus
		if !errors.As(how, &status) {
			status = 128 + plan.ExitStatus(unix.SIGKILL) // box has ended it, because of an error
		}
		r.State.exit(int(status))
		_, err = fmt.Fprintln(r.lock, int(status)) // for those who wait
		err = errors.Join(err, r.log.end())
	}
	if ran && r.State.ExitCode == 0 && r.Run.harvest != nil {
		err = errors.Join(err, r.Run.harvest(r.path("upper")))
	}
	if doomed {
		return errors.Join(err, r.remove())
	}
	if ran {
		err = errors.Join(err, r.write())
	}
	if err != nil {
		return err
	}
	return r.release()
}

// autoRemove tells whether a container leaves nothing at its end.
func (r *Record) autoRemove() bool { return r.Run.Rm || r.State.Status == "created" }

// release lets go of the container: from now on others may be at work on it.
func (r *Record) release() error {
	err := os.Remove(r.livePath())
	return errors.Join(err, r.lock.Close())
}

// remove takes the container away, and with --rm its volumes that have no name. Whoever
// holds the lock may do it; it can be killed at any point and be done again.
func (r *Record) remove() error {
	if err := os.Rename(r.path(), r.newPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name := r.store.path("containers", r.Name)
	if id, err := os.Readlink(name); err == nil && id == r.ID {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	if r.Run != nil && r.autoRemove() {
		if err := r.removeVolumes(); err != nil {
			return err
		}
	}
	if err := removeTree(r.newPath()); err != nil {
		return err
	}
	return r.release()
}

// removeTree removes a directory. What others of an ordinary user's containers have made
// there, is theirs: only in their user namespace it can be removed.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		err = asOwner(Store{}, "rm", "-rf", "--", dir)
	}
	return err
}

// asOwner runs a program as user 0 of a user namespace that maps the same users as the
// containers of an ordinary user: a container that shares everything else with the host.
func asOwner(s Store, argv ...string) error {
	c := &Container{Command: argv, Isolation: Isolation{Share: strings.Split("mnt pid uts ipc net cgroup time", " ")}}
	c.Env = append(os.Environ(), "BOX_ROOT="+s.dir())
	if err := c.Run(); err != plan.ExitStatus(0) {
		return err
	}
	return nil
}

// isRunning tells whether a container runs, and its process can be asked for.
func (r *Record) isRunning() bool { return r.State.Status == "running" && state.Held(r.livePath()) }

// MarshalJSON writes the number of the device and the rate.
func (t throttle) MarshalJSON() ([]byte, error) { return json.Marshal([]any{t.device, t.rate}) }

// UnmarshalJSON reads them.
func (t *throttle) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&t.device, &t.rate})
}
