// Events say what happens to containers, volumes, networks and images. They are seen in the store,
// with inotify(7): so it makes no difference whether a client of the daemon or a plain box has done
// something. As long as a container runs, its monitor holds a lock on a file in running/. At the
// end it writes the exit status there, and removes the file. Read watch.handleEvent, then
// watch.ended.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage06-dockerfile/health"
	"stagebox/stage09-daemon/broker"
)

// watch sees changes of the store, and publishes them.
type watch struct {
	broker.Broker
	store   Store
	ctx     context.Context
	inotify *os.File

	lock sync.Mutex
	dirs map[int32]string     // that are watched, below the store
	seen map[string]*lastSeen // by id
	tags map[string]string    // ids of images, by name
}

// lastSeen is what was seen of a container.
type lastSeen struct {
	record  *Record
	live    *os.File  // the file in running/: open, its content outlives its name
	started time.Time // when the run began that was published, and has not ended
	health  string    // as published during this run
}

// watched are the directories that are always watched.
var watched = []string{"containers", "running", "volumes", "networks", "images"}

// watch begins to watch, and looks at what is there.
func (s Store) watch(ctx context.Context) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify_init1: %w", err)
	}
	w := &watch{store: s, ctx: ctx, inotify: os.NewFile(uintptr(fd), "inotify"),
		dirs: map[int32]string{}, seen: map[string]*lastSeen{}}
	for _, dir := range watched {
		err = errors.Join(err, os.MkdirAll(s.path(dir), 0o700), w.add(dir))
	}
	all, errAll := s.all()
	if err = errors.Join(err, errAll); err != nil {
		return nil, errors.Join(err, w.inotify.Close())
	}
	for _, r := range all {
		w.seen[r.ID] = &lastSeen{record: r}
		complain(w.add("containers/" + r.ID))
		if r.isLive() {
			w.seen[r.ID].started = r.State.StartedAt
			w.open(r.ID)
		}
	}
	w.tags = w.tagged()
	go w.read()
	return w, nil
}

// add watches a directory, unless it is gone already.
func (w *watch) add(dir string) error {
	const changes = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM
	raw, err := w.inotify.SyscallConn() // Fd would make reads block a thread
	if err != nil {
		return err
	}
	number := 0
	errControl := raw.Control(func(fd uintptr) {
		number, err = unix.InotifyAddWatch(int(fd), w.store.path(dir), changes|unix.IN_ONLYDIR)
	})
	if err == unix.ENOENT {
		return nil
	}
	if err = errors.Join(err, errControl); err != nil {
		return fmt.Errorf("inotify_add_watch %s: %w", dir, err)
	}
	w.dirs[int32(number)] = dir
	return nil
}

// read reads changes until inotify is closed.
func (w *watch) read() {
	buffer := make([]byte, 64<<10)
	for {
		n, err := w.inotify.Read(buffer)
		if err != nil {
			return
		}
		for rest := buffer[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
			end := unix.SizeofInotifyEvent + int(e.Len)
			name := strings.TrimRight(string(rest[unix.SizeofInotifyEvent:end]), "\x00")
			w.lock.Lock()
			w.handleEvent(w.dirs[e.Wd], name, e.Mask)
			if e.Mask&unix.IN_IGNORED != 0 { // the directory is gone
				delete(w.dirs, e.Wd)
			}
			w.lock.Unlock()
			rest = rest[end:]
		}
	}
}

// handleEvent takes a change of a name in a directory of the store.
func (w *watch) handleEvent(dir, name string, mask uint32) {
	came := mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0
	switch {
	case mask&unix.IN_Q_OVERFLOW != 0:
		w.rescan()
	case dir == "containers" && came && ids.IsID(name):
		complain(w.add("containers/" + name))
		w.compare(name)
	case filepath.Dir(dir) == "containers" && came && name == "container.json":
		w.compare(filepath.Base(dir))
	case filepath.Dir(dir) == "containers" && came && name == "health.json":
		w.of(filepath.Base(dir)).lookAtHealth(w)
	case dir == "running" && ids.IsID(name) && came:
		w.open(name)
	case dir == "running" && ids.IsID(name):
		w.ended(name)
	case dir == "images" && came && name == "index.json":
		w.lookAtImages()
	case dir == "volumes" && ids.IsName(name):
		w.Publish(broker.New("volume", made[came], name, map[string]string{"driver": "local"}))
	case dir == "networks" && filepath.Ext(name) == ".json" && mask&unix.IN_CREATE == 0:
		name = strings.TrimSuffix(name, ".json")
		about := map[string]string{"name": name, "type": "bridge"}
		w.Publish(broker.New("network", made[came], w.store.networks().ID(name), about))
	}
}

// made is the word for a thing that came, or went.
var made = map[bool]string{true: "create", false: "destroy"}

// of is what was seen of a container.
func (w *watch) of(id string) *lastSeen {
	if w.seen[id] == nil {
		w.seen[id] = &lastSeen{}
	}
	return w.seen[id]
}

// compare compares the record of a container with what was seen of it.
func (w *watch) compare(id string) {
	r, err := w.store.read(id)
	if err != nil {
		return // it is gone, or damaged: every command says so
	}
	s := w.of(id)
	old := s.record
	s.record = r
	switch {
	case old == nil:
		s.publish(w, "create", nil)
	case old.Name != r.Name:
		s.publish(w, "rename", map[string]string{"oldName": "/" + old.Name})
	}
	if r.State.Status == "running" && !r.State.StartedAt.Equal(s.started) {
		s.started, s.health = r.State.StartedAt, ""
		s.publish(w, "start", nil)
	}
	if r.State.Status == "restarting" {
		s.died(w, r.State.ExitCode)
	}
}

// lookAtHealth publishes what a health check has found, if that is new.
func (s *lastSeen) lookAtHealth(w *watch) {
	if s.record == nil || !s.record.isRunning() {
		return
	}
	found := s.record.health()
	if found != nil && found.Status != health.Starting && found.Status != s.health {
		s.health = found.Status
		s.publish(w, "health_status: "+s.health, nil)
	}
}

// open opens the file that says that a container runs.
func (w *watch) open(id string) {
	file, err := os.Open(w.store.path("running", id))
	if err != nil {
		return // it has ended
	}
	s := w.of(id)
	if s.live != nil && isSameFile(s.live, file) {
		file.Close()
		return
	}
	if s.live != nil {
		s.live.Close()
	}
	s.live = file
	go w.awaitKill(id)
}

func isSameFile(a, b *os.File) bool {
	infoA, errA := a.Stat()
	infoB, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// awaitKill waits for the lock on the file. A monitor that ends removes the file first; if it is
// still there, the monitor was killed, and what it has left is repaired as by any other box.
func (w *watch) awaitKill(id string) {
	file, err := os.Open(w.store.path("running", id))
	if err != nil {
		return
	}
	err = state.Await(w.ctx, file, state.Shared)
	file.Close()
	if err == nil && exists(w.store.path("running", id)) {
		w.store.known(id)
	}
}

// ended handles the end of a run, or of another command that had the container to itself.
func (w *watch) ended(id string) {
	s := w.of(id)
	if s.live != nil && w.isCurrent(id, s.live) {
		return // the end is that of an earlier command: the kernel's report of it has come late
	}
	if s.live != nil {
		w.publishEnd(s)
	}
	if !exists(w.store.path("containers", id)) {
		s.publish(w, "destroy", nil)
		delete(w.seen, id)
	}
}

// isCurrent reports whether an open file still has its name in running/.
func (w *watch) isCurrent(id string, live *os.File) bool {
	file, err := os.Open(w.store.path("running", id))
	if err != nil {
		return false
	}
	defer file.Close()
	return isSameFile(live, file)
}

// publishEnd publishes the exit status in the file of a run, and closes it. The file of a command
// that ran nothing is empty.
func (w *watch) publishEnd(s *lastSeen) {
	text, _ := io.ReadAll(io.NewSectionReader(s.live, 0, 16))
	status, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil: // killed, if anything ran at all
		status = 128 + int(unix.SIGKILL)
	case s.started.IsZero() && s.record != nil: // so short that compare has missed its start
		s.started = time.Now()
		s.publish(w, "start", nil)
	}
	s.died(w, status)
	s.live.Close()
	s.live = nil
}

// died publishes the end of a run, once.
func (s *lastSeen) died(w *watch, status int) {
	if !s.started.IsZero() {
		s.started = time.Time{}
		s.publish(w, "die", map[string]string{"exitCode": strconv.Itoa(status)})
	}
}

// publish publishes an event of a container.
func (s *lastSeen) publish(w *watch, action string, more map[string]string) {
	if s.record == nil {
		return
	}
	about := s.record.Run.labels()
	if about == nil {
		about = map[string]string{}
	}
	about["image"], about["name"] = s.record.Image, s.record.Name
	maps.Copy(about, more)
	w.Publish(broker.New("container", action, s.record.ID, about))
}

// emit publishes what a handler has done and the store does not show.
func (w *watch) emit(action string, r *Record, more map[string]string) {
	(&lastSeen{record: r}).publish(w, action, more)
}

// rescan looks at everything, when so much has happened that the kernel has dropped some of it.
func (w *watch) rescan() {
	all, err := w.store.all()
	complain(err)
	for _, r := range all {
		complain(w.add("containers/" + r.ID))
		w.compare(r.ID)
	}
	for _, id := range slices.Collect(maps.Keys(w.seen)) {
		if !exists(w.store.path("running", id)) {
			w.ended(id)
		}
	}
	w.lookAtImages()
}

// tagged are the names of images, and the images' ids.
func (w *watch) tagged() map[string]string {
	images, err := w.store.layout().Images()
	complain(err)
	tags := map[string]string{}
	for _, image := range images {
		for _, name := range image.Familiar() {
			tags[name[0]+":"+name[1]] = image.ID.String()
		}
	}
	delete(tags, "<none>:<none>")
	return tags
}

// lookAtImages compares the names of images with those that were there.
func (w *watch) lookAtImages() {
	before := w.tags
	w.tags = w.tagged()
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if w.tags[name] != before[name] {
			w.Publish(broker.New("image", "untag", before[name], map[string]string{"name": name}))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.tags)) {
		if w.tags[name] != before[name] {
			w.Publish(broker.New("image", "tag", w.tags[name], map[string]string{"name": name}))
		}
	}
}
