// A container that lasts: a directory in the store with its record, its own layer and its
// log. While it runs, the box that stays with it holds a lock on a file of its name in
// running/, so everybody can see whether it lives, and what a box that was killed has left
// behind. Its name is a symbolic link beside it.
package main

import (
	"context"
	"crypto/rand"
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
	"stagebox/stage04-unionfs/state"
)

// Lasting says what stays of a container, and for how long.
type Lasting struct {
	Name   string `help:"A name for it; else it gets two words." group:"Store:"`
	Detach bool   `short:"d" help:"Leave it running, and print its id." group:"Store:"`
	Rm     bool   `help:"Remove it when it has ended, with the volumes that have no name." group:"Store:"`

	record *Record

	source    *Image // that it is made of, if it is
	imageName string

	output  *os.File                 // where it prints to, if not where box does
	harvest func(upper string) error // takes its layer away, when it has ended well
}

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
	Address    string   `json:",omitempty"` // on its network, while it runs
	Ports      []string `json:",omitempty"` // as published
}

// exit notes an exit status.
func (s *State) exit(status int) {
	s.Status, s.PID, s.ExitCode, s.FinishedAt = "exited", 0, status, time.Now()
	s.Address, s.Ports = "", nil
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
			return nil, c.lastsNot()
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

// lastsNot names a flag that is about what stays.
func (c *Container) lastsNot() error {
	for flag, given := range map[string]bool{"--name": c.Name != "", "--detach": c.Detach} {
		if given {
			return fmt.Errorf("%s is for a container with a root of its own: add --rootfs DIR; box rootfs DIR makes one", flag)
		}
	}
	return nil
}

// create makes the record and its directory: complete, under a name with a dot, then under
// its own.
func (c *Container) create() (err error) {
	r := &Record{ID: newID(), Name: c.Name, Created: time.Now(), Run: c, store: c.Store, State: State{Status: "created"}}
	if c.source != nil {
		r.Image, r.ImageID = c.imageName, c.source.ID
	}
	if c.record = r; c.DryRun {
		return nil
	}
	if err := c.settle(); err != nil {
		return err
	}
	if err := c.nameVolumes(r); err != nil {
		return err
	}
	if err := c.Store.open(); err != nil {
		return err
	}
	if r.lock, err = lockNew(r.livePath()); err != nil {
		return err
	}
	if err := r.make(); err != nil {
		return errors.Join(err, r.remove())
	}
	return nil
}

// newID is a random number of 64 digits.
func newID() string {
	id := make([]byte, 32)
	rand.Read(id) // never fails
	return fmt.Sprintf("%x", id)
}

// settle makes what the record shall hold independent of where and in what environment the
// command was given.
func (c *Container) settle() error {
	for _, file := range c.EnvFile {
		lines, err := readEnvFile(file)
		if err != nil {
			return fmt.Errorf("--env-file %s: %w", file, err)
		}
		c.Env = append(setAll(nil, lines), c.Env...)
	}
	for i, variable := range c.Env {
		if name, _, given := strings.Cut(variable, "="); !given {
			if value, known := os.LookupEnv(name); known && name != "" {
				c.Env[i] = name + "=" + value
			}
		}
	}
	c.EnvFile = nil
	for i, option := range c.SecurityOpt {
		if file, is := strings.CutPrefix(option, "seccomp="); is && file != "unconfined" {
			path, err := filepath.Abs(file)
			if err != nil {
				return err
			}
			c.SecurityOpt[i] = "seccomp=" + path
		}
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
	if err := o.asRoot(); err != nil {
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

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
	hexes  = "0123456789abcdef"
)

// madeOf tells whether all characters of a text are of a set; an empty text is made of none.
func madeOf(text, set string) bool { return text != "" && strings.Trim(text, set) == "" }

// isName tells whether a text may be a name, as in Docker: it begins with a letter or a digit.
func isName(text string) bool {
	return madeOf(text, lower+upper+digits+"_.-") && madeOf(text[:1], lower+upper+digits)
}
func isID(text string) bool { return len(text) == 64 && madeOf(text, hexes) }

// takeName makes the link that is the name: of two containers, only one can. The record that
// knows of it is written before, so that it can be found and removed if box is killed.
func (r *Record) takeName() error {
	random := r.Name == ""
	if !random && (!isName(r.Name) || isID(r.Name) || madeOf(r.Name, digits)) {
		return fmt.Errorf("--name %q: a name is made of letters, digits and _ . -, begins with a letter or digit, and is no number and no id", r.Name)
	}
	for {
		if random {
			r.Name = twoWords()
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
	r.State.Address, r.State.Ports = r.Run.link.address(), r.Run.link.published()
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
	doomed, ran := r.isDoomed(), r.State.Status == "running"
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

// isDoomed tells whether a container leaves nothing at its end.
func (r *Record) isDoomed() bool { return r.Run.Rm || r.State.Status == "created" }

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
	if r.Run != nil && r.isDoomed() {
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

// repair brings one container to a state in which it could have been left. It lets go of the
// lock in any case.
func (s Store) repair(id string, held *os.File) (err error) {
	defer func() {
		if err != nil {
			held.Close()
		}
	}()
	r, err := s.read(id)
	gone := errors.Is(err, fs.ErrNotExist)
	if gone {
		if r, err = s.read("." + id); err != nil {
			r = &Record{}
		}
	} else if err != nil { // damaged: nothing is known of it that could be repaired
		return errors.Join(err, os.Remove(held.Name()))
	}
	r.ID, r.store, r.lock = id, s, held
	if err := s.networks().forget(id); err != nil {
		return err
	}
	if gone || r.isDoomed() {
		return r.remove()
	}
	if r.State.Status == "running" {
		r.State.exit(128 + int(unix.SIGKILL))
		if err := r.write(); err != nil {
			return err
		}
	}
	return errors.Join(state.Sweep(r.path()), r.release())
}

// read reads a record.
func (s Store) read(id string) (*Record, error) {
	r := &Record{}
	if err := state.ReadJSON(s.path("containers", id, "container.json"), r); err != nil {
		return nil, err
	}
	if r.Run == nil {
		return nil, fmt.Errorf("%s: it is no container's record; remove this directory if it is not yours", s.path("containers", id, "container.json"))
	}
	r.store, r.Run.Store, r.Run.record = s, s, r
	return r, nil
}

// known reads a record. One that says "running", though nobody holds the lock, is of before
// the machine went down.
func (s Store) known(id string) (*Record, error) {
	r, err := s.present(id)
	if err != nil || r.State.Status != "running" || state.Held(r.livePath()) {
		return r, err
	}
	held, err := state.TryLock(r.livePath(), state.Exclusive)
	if err == nil {
		err = s.repair(id, held)
	}
	if err == state.ErrBusy {
		return r, nil
	}
	if err != nil { // the disk is full, perhaps
		r.State.exit(128 + int(unix.SIGKILL))
		return r, nil
	}
	return s.present(id) // if it was not to be removed
}

// present reads the record of a container that may have been removed meanwhile.
func (s Store) present(id string) (*Record, error) {
	r, err := s.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w any more: %s", errNoContainer, id)
	}
	return r, err
}

// all are the containers.
func (s Store) all() ([]*Record, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.path("containers"))
	if err != nil {
		return nil, err
	}
	var list []*Record
	for _, entry := range entries {
		if !isID(entry.Name()) {
			continue
		}
		r, err := s.known(entry.Name())
		if errors.Is(err, errNoContainer) { // removed meanwhile
			continue
		}
		if err != nil { // damaged: the others shall be seen all the same
			fmt.Fprintf(os.Stderr, "box: %v\n", err)
			continue
		}
		list = append(list, r)
	}
	return list, nil
}

// errNoContainer means that a name is nobody's.
var errNoContainer = errors.New("there is no such container")

// find finds a container by its name, its id, or the beginning of its id.
func (s Store) find(text string) (*Record, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	if id, err := os.Readlink(s.path("containers", text)); err == nil && isName(text) {
		return s.known(id)
	}
	entries, err := os.ReadDir(s.path("containers"))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		if isID(entry.Name()) && text != "" && strings.HasPrefix(entry.Name(), text) {
			found = append(found, entry.Name())
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: %q; box ps -a lists them by name and id", errNoContainer, text)
	case 1:
		return s.known(found[0])
	}
	return nil, fmt.Errorf("%q is the beginning of the ids of %d containers: give more of it", text, len(found))
}

// take finds a container for a change, and keeps others from it.
func (s Store) take(text string) (*Record, error) {
	r, err := s.find(text)
	if err != nil {
		return nil, err
	}
	hope := func() bool { return !r.isRunning() }
	held, err := state.LockSoon(context.Background(), r.livePath(), hope)
	if err == state.ErrBusy {
		return nil, fmt.Errorf("container %s runs, or %w: box stop %s ends it", r.Name, state.ErrBusy, r.Name)
	}
	if err != nil {
		return nil, err
	}
	now, err := s.read(r.ID) // as it is now that nobody else changes it
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w any more: %s", errNoContainer, text), os.Remove(held.Name()), held.Close())
	}
	now.lock = held
	if err := state.Sweep(r.path()); err != nil {
		return nil, errors.Join(err, now.release())
	}
	return now, nil
}

// isRunning tells whether a container runs, and its process can be asked for.
func (r *Record) isRunning() bool { return r.State.Status == "running" && state.Held(r.livePath()) }

// MarshalJSON writes the number of the device and the rate.
func (t throttle) MarshalJSON() ([]byte, error) { return json.Marshal([]any{t.device, t.rate}) }

// UnmarshalJSON reads them.
func (t *throttle) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&t.device, &t.rate})
}
