// A container is a directory in the store with its record, its own layer and its log. While it
// runs, the box that stays with it holds a lock on a file named by its id in running/: every
// other box can see whether it runs, and what a box that was killed has left. Its name is a
// symbolic link beside its directory.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/attach"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/journal"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage04-unionfs/union"
)

// Record is containers/ID/container.json, and how this box holds the container.
type Record struct {
	ID      string
	Name    string
	Created time.Time
	Run     *Container // as it was requested
	Volumes []string   // those that the user gave no name
	State   State
	Kept    bool `json:",omitempty"` // keep it at the end, even if it never ran

	NewName string `json:",omitempty"` // while it is renamed

	Restarts bool `json:",omitempty"` // it will be started again: --rm does not remove it yet

	store Store
	lock  *os.File  // while this box works on it
	ready *os.File  // where the monitor reports that it runs
	files *union.FS // of its root, while a run is planned

	log    *journal.Writer // while it runs, with all who are attached
	hub    *attach.Hub
	errors *os.File // standard error of the container; box's own errors go there too

	group *group // while it runs

	written state.Text // of the record, by this box

	hold bool // set by the hidden --hold: an API server attaches its clients before the start

	held *os.File // the socket for that, if it is not standard input
}

// State is the state of the process.
type State struct {
	Status     string // created, running, restarting, exited
	PID        int    // as the host counts, while it runs
	ExitCode   int    // as a shell has it
	StartedAt  time.Time
	FinishedAt time.Time
	OOMKilled  bool   `json:",omitempty"` // one of its processes was
	Error      string `json:",omitempty"` // why it did not start

	RestartCount int           `json:",omitempty"` // by its policy
	Delay        time.Duration `json:",omitempty"` // before the last restart
}

// exit records an exit status.
func (s *State) exit(status int) {
	s.Status, s.PID, s.ExitCode, s.FinishedAt = "exited", 0, status, time.Now().UTC()
}

// begin gives a container with a root of its own its place on disk. It returns nil for one that
// runs on the host's files: nothing is kept of it.
func begin(c *Container, p *Plan) (*Record, error) {
	if c.record == nil {
		if err := c.checkRestart(); err != nil {
			return nil, err
		}
		if !c.Rm && !c.Detach && !c.DryRun && !c.runsApart() && c.CanDetach(c.TTY, c.Interactive) {
			// A second process stays with the container, so that ctrl-p ctrl-q can end this one.
			return nil, attach.RunDetachable(os.Args[1:])
		}
		if err := c.createIfKept(); err != nil || c.record == nil {
			return nil, err
		}
	} else if err := c.record.checkDirs(); err != nil {
		return nil, c.record.end(err)
	}
	r := c.record
	if c.runsApart() {
		return r, r.runApart()
	}
	if r.runsInMonitor() {
		return r, r.runDetached()
	}
	if err := r.openLog(p); err != nil {
		return nil, r.end(err)
	}
	p.started = r.running
	return r, nil
}

// createIfKept makes the record of a container that has a root of its own.
func (c *Container) createIfKept() error {
	if err := c.layers(); err != nil {
		return err
	}
	if c.Rootfs == "" {
		return c.rejectStoreFlags()
	}
	return c.create()
}

// runsInMonitor reports whether another process, the monitor, runs the container.
func (r *Record) runsInMonitor() bool {
	return r != nil && r.Run.Detach && r.ready == nil && !r.Run.DryRun
}

// create makes the record and its directory: complete, under a name with a dot, then under
// its own.
func (c *Container) create() (err error) {
	c.Name = strings.TrimPrefix(c.Name, "/") // as Docker prints it
	r := &Record{ID: ids.New(), Name: c.Name, Created: time.Now().UTC(), Run: c, store: c.Store}
	r.State.Status = "created"
	if c.record = r; c.DryRun {
		return nil
	}
	if err := errors.Join(ids.CheckFile(c.Cidfile), c.resolve()); err != nil {
		return err
	}
	if err := c.nameVolumes(r); err != nil {
		return err
	}
	if err := c.Store.open(); err != nil {
		return err
	}
	if r.lock, err = state.LockNew(r.livePath()); err != nil {
		return err
	}
	if err = r.make(); err == nil {
		err = ids.WriteFile(r.Run.Cidfile, r.ID)
	}
	if err != nil {
		return errors.Join(err, r.remove())
	}
	return nil
}

// make writes the record and the directories of a new container.
func (r *Record) make() error {
	dir := r.newPath()
	for _, path := range []string{dir, dir + "/upper", dir + "/work", dir + "/merged"} {
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
	}
	// The root has the owner and mode of its top layer, which will be the container's own.
	if err := union.CopyMode(r.overlay().lowers[0], dir+"/upper"); err != nil {
		return err
	}
	if err := r.store.ids().Take(r.Name, r.linkName); err != nil {
		return err
	}
	if err := os.Rename(dir, r.path()); err != nil {
		return err
	}
	if r.durability() {
		return state.SyncDir(r.store.path("containers"))
	}
	return nil
}

// durability says whether the record has to survive a crash of the machine.
func (r *Record) durability() state.Durability { return state.Durability(!r.Run.Rm) }

// linkName makes the link that is the name: of two containers, only one can. The record is
// written before it, so that the link can be found and removed if box is killed.
func (r *Record) linkName(name string) error {
	r.Name = name
	file := filepath.Join(r.newPath(), "container.json")
	if err := state.WriteJSON(file, r, r.durability()); err != nil {
		return err
	}
	return os.Symlink(r.ID, r.store.path("containers", r.Name))
}

// rename gives a container another name. In between, the record has both: if box is killed, the
// name is the one whose link is there.
func (r *Record) rename(name string) error {
	return r.amend(func(r *Record) error {
		r.NewName = name
		if err := r.write(); err != nil {
			return err
		}
		err := unix.Renameat2(unix.AT_FDCWD, r.store.path("containers", r.Name),
			unix.AT_FDCWD, r.store.path("containers", name), unix.RENAME_NOREPLACE)
		if err == nil {
			r.Name = name
		}
		r.NewName = ""
		return err
	})
}

// amend changes the record on disk, which another box may do at the same time while the container
// runs: so each reads it first. It is written even if change fails.
func (r *Record) amend(change func(now *Record) error) error {
	held, err := state.Lock(context.Background(), r.path("lock"), state.Exclusive)
	if err != nil {
		return fmt.Errorf("the record of container %s: %w", r.ID, err)
	}
	defer held.Close()
	now, err := r.current()
	if err != nil {
		return err
	}
	err = change(now)
	return errors.Join(err, now.write())
}

// current is the record on disk: r itself if that is still as r wrote it.
func (r *Record) current() (*Record, error) {
	if r.written.IsStill(r.path("container.json")) {
		return r, nil
	}
	return r.store.present(r.ID)
}

func (r *Record) path(names ...string) string {
	return r.store.path(append([]string{"containers", r.ID}, names...)...)
}
func (r *Record) newPath() string  { return r.store.path("containers", "."+r.ID) }
func (r *Record) livePath() string { return r.store.path("running", r.ID) }

// overlay is the container's root.
func (r *Record) overlay() *overlay {
	return &overlay{lowers: append(r.Run.topFirst(), r.store.path("mountpoints")),
		upper: r.path("upper"), work: r.path("work"), merged: r.path("merged"),
		volatile: r.Run.Rm}
}

// running records that the process runs.
func (r *Record) running(pid int) error {
	before := r.State
	r.State = State{Status: "running", PID: pid, StartedAt: time.Now().UTC(),
		FinishedAt: before.FinishedAt, RestartCount: before.RestartCount, Delay: before.Delay}
	r.Restarts = false
	if err := r.write(); err != nil {
		r.State = before
		return err
	}
	return r.announce()
}

// limitedBy lets finish ask whether the container ran out of memory.
func (r *Record) limitedBy(g *group) {
	if r != nil {
		r.group = g
	}
}

func (r *Record) write() error {
	return r.written.WriteJSON(r.path("container.json"), r, r.durability())
}

// end records how the process has ended, and releases the container. One that never ran leaves
// nothing, unless it is kept, or it was its start that failed, as in Docker.
func (r *Record) end(how error) error {
	if r == nil || r.lock == nil {
		return how
	}
	err := r.finish(how)
	if err != nil {
		fmt.Fprintf(os.Stderr, "box: container %s: %v\n", r.Name, err)
	}
	if errors.Is(err, attach.ErrLost) && how == plan.ExitStatus(0) {
		return plan.ExitStatus(125)
	}
	return how
}

// finish closes the log, then removes the container or saves how it ended.
func (r *Record) finish(how error) error {
	var step plan.StepError
	r.Kept = r.Kept || errors.As(how, &step)
	if now, err := r.current(); err == nil && r.Run.Rm {
		r.Restarts = now.Restarts
	}
	ran := r.State.Status == "running"
	err := r.closeLog()
	if ran {
		err = errors.Join(err, r.noteExit(how))
	}
	if r.autoRemove() {
		return errors.Join(err, r.remove())
	}
	if ran || r.Kept {
		err = errors.Join(err, r.saveEnd(how, ran))
	}
	if err != nil || r.State.Status == "restarting" {
		return err
	}
	return r.release()
}

// saveEnd writes the state to the record, which another box may have changed meanwhile, and plans
// a restart if the container ran.
func (r *Record) saveEnd(how error, ran bool) error {
	if !ran && how != nil {
		r.State.Error, r.State.ExitCode = how.Error(), plan.StatusOf("run", how)
	}
	return r.amend(func(now *Record) error {
		if ran && endedItself(how) {
			r.planRestart(now.Run.Restart)
		}
		now.State, now.Kept = r.State, r.Kept
		return nil
	})
}

// noteExit notes how the command ended, in the record and, for box wait, in the lock's file.
func (r *Record) noteExit(how error) error {
	var status plan.ExitStatus
	if !errors.As(how, &status) {
		status = 128 + plan.ExitStatus(unix.SIGKILL) // killed by box, because of an error
	}
	r.State.exit(int(status))
	r.State.OOMKilled = r.group != nil && r.group.oomKilled
	_, err := fmt.Fprintln(r.lock, int(status))
	return err
}

// autoRemove reports whether a container leaves nothing at its end.
func (r *Record) autoRemove() bool {
	return r.Run.Rm && !r.Restarts || r.State.Status == "created" && !r.Kept
}

// release gives up the lock: from now on another box may work on the container.
func (r *Record) release() error {
	err := os.Remove(r.livePath())
	return errors.Join(err, r.lock.Close())
}

// remove removes the container, and with --rm its volumes that have no name. The caller holds
// the lock. Killed at any point, it can be done again.
func (r *Record) remove() error {
	if held, err := state.Lock(context.Background(), r.path("lock"), state.Exclusive); err == nil {
		defer held.Close()
		if now, err := r.current(); err == nil {
			r.Name = now.Name // it may have been renamed
		}
	}
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

// removeTree removes a directory. Files that belong to other users of an ordinary user's
// container can be removed only in its user namespace.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		err = asOwner(Store{}, "rm", "-rf", "--", dir)
	}
	return err
}

var oneOwner sync.Mutex

// asOwner runs a program as user 0 of a user namespace with the ids of an ordinary user's
// containers: a container that shares everything else with the host.
func asOwner(s Store, argv ...string) error {
	oneOwner.Lock()
	defer oneOwner.Unlock()
	c := &Container{Command: argv}
	c.Share = strings.Fields("mnt pid uts ipc net cgroup time")
	c.Env = append(os.Environ(), "BOX_ROOT="+s.dir())
	if err := c.Run(); err != plan.ExitStatus(0) {
		return err
	}
	return nil
}

// isRunning reports whether a container runs: the box that stays with it holds the lock.
func (r *Record) isRunning() bool { return r.State.Status == "running" && state.Held(r.livePath()) }
