// Package runtimestate keeps the states of an OCI runtime's containers, each in a directory of its
// own: state.json, a copy of the bundle's config.json, and until the container is started a FIFO,
// exec.fifo, at which its process waits. No monitor stays with such a container, so how it is doing is
// read from /proc each time. The lesson reads State.Start.
package runtimestate

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	json "github.com/go-json-experiment/json/v1" // its types are read in half the time of encoding/json's
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/cgroupfs"
)

// Paused is the state of a container whose processes were stopped. The specification has no such
// state, and engines know runc's.
const Paused specs.ContainerState = "paused"

// ErrMissing means that no container has this name.
var ErrMissing = errors.New("container does not exist")

// Store is a directory of states.
type Store string

// State is what is kept of a container.
type State struct {
	specs.State
	Created time.Time `json:"created"`
	Groups  []string  `json:"groups,omitempty"` // its cgroups, which are removed with it
	Began   string    `json:"began,omitempty"`  // when the process began: its number may be another's later
	Dir     string    `json:"-"`
}

// Shown is what state and list print.
type Shown struct {
	specs.State
	Created time.Time `json:"created"`
	Rootfs  string    `json:"rootfs,omitempty"`
}

// isName reports whether a text can be a container's name: it is also that of its directory.
func isName(id string) bool {
	other := func(c rune) bool {
		return !strings.ContainsRune("_+-.", c) && (c < '0' || c > '9') && (c|' ' < 'a' || c|' ' > 'z')
	}
	return id != "" && id != "." && id != ".." && len(id) <= 255 && !strings.ContainsFunc(id, other)
}

// Create makes the directory of a new container.
func (s Store) Create(id, bundle string, spec *specs.Spec) (*State, error) {
	if !isName(id) {
		return nil, fmt.Errorf("invalid container ID %q: use letters, digits and any of _+-. in it", id)
	}
	if err := os.MkdirAll(string(s), 0o711); err != nil {
		return nil, err
	}
	st := &State{Dir: filepath.Join(string(s), id), Created: time.Now().UTC()}
	st.State = specs.State{Version: specs.Version, ID: id, Status: specs.StateCreating, Bundle: bundle, Annotations: spec.Annotations}
	if err := os.Mkdir(st.Dir, 0o711); errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("container with given ID already exists: %s", id)
	} else if err != nil {
		return nil, err
	}
	config, err := json.Marshal(spec)
	if err == nil {
		err = os.WriteFile(st.path("config.json"), config, 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, st.Remove())
	}
	return st, nil
}

func (s *State) path(name string) string { return filepath.Join(s.Dir, name) }

// MakeFIFO makes the FIFO at which the process is to wait, and opens it for that.
func (s *State) MakeFIFO() (int, error) {
	if err := unix.Mkfifo(s.path("exec.fifo"), 0o600); err != nil {
		return -1, fmt.Errorf("mkfifo(%s): %w", s.path("exec.fifo"), err)
	}
	return unix.Open(s.path("exec.fifo"), unix.O_RDWR|unix.O_CLOEXEC, 0)
}

// Started notes the process. The state is complete from here on.
func (s *State) Started(pid int) error {
	s.Pid, s.Began = pid, began(pid)
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	next := s.path("state.json.new")
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.path("state.json"))
}

// Find reads the state of a container, and finds out whether its process still runs.
func (s Store) Find(id string) (*State, error) {
	st := &State{Dir: filepath.Join(string(s), id)}
	if !isName(id) {
		return nil, fmt.Errorf("%w: %q", ErrMissing, id)
	}
	data, err := os.ReadFile(st.path("state.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrMissing, id)
	}
	if err == nil {
		err = json.Unmarshal(data, st)
	}
	if err != nil {
		return nil, fmt.Errorf("state of container %s: %w", id, err)
	}
	st.Status = st.status()
	return st, nil
}

func (s *State) status() specs.ContainerState {
	_, waiting := os.Lstat(s.path("exec.fifo"))
	switch {
	case s.Began == "" || began(s.Pid) != s.Began:
		return specs.StateStopped
	case waiting == nil:
		return specs.StateCreated
	}
	return specs.StateRunning
}

// began is when a process began, as /proc/PID/stat has it; "" for one that has ended.
func began(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if err != nil || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// GroupWith is the first cgroup that has a file of a name; "" if there is none.
func (s *State) GroupWith(name string) string {
	for _, dir := range s.Groups {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return dir
		}
	}
	return ""
}

// NotePause sets the status to Paused if the container is. freezer is the file of a cgroup that
// says so.
func (s *State) NotePause(freezer string) {
	group := s.GroupWith(freezer)
	if group != "" && s.Status != specs.StateStopped && cgroupfs.Number(filepath.Join(group, freezer)) == 1 {
		s.Status = Paused
	}
}

// Processes returns the numbers of all processes of the container, sorted. file is the name of the
// file of a cgroup that lists them.
func (s *State) Processes(file string) []int {
	for _, dir := range s.Groups {
		if list := cgroupfs.Numbers(dir, file); len(list) > 0 {
			slices.Sort(list)
			return list
		}
	}
	return []int{}
}

// Start lets the process go on.
func (s *State) Start() error {
	fifo, err := unix.Open(s.path("exec.fifo"), unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open(exec.fifo): %w", err)
	}
	defer unix.Close(fifo)
	if err := os.Remove(s.path("exec.fifo")); err != nil {
		return err
	}
	_, err = unix.Write(fifo, []byte("g"))
	return err
}

// process is a handle on the process (os.FindProcess has a pidfd): its number may be another one's
// by now, and then the error is os.ErrProcessDone.
func (s *State) process() (*os.Process, error) {
	process, err := os.FindProcess(s.Pid)
	if err == nil && (s.Began == "" || began(s.Pid) != s.Began) {
		process.Release()
		return nil, os.ErrProcessDone
	}
	return process, err
}

// Kill kills the process and waits until it has ended. After ten seconds it returns an error.
func (s *State) Kill() error {
	err := s.signal(unix.SIGKILL)
	if err == os.ErrProcessDone {
		return nil
	}
	for n := 0; n < 10_000 && err == nil; n++ {
		if began(s.Pid) != s.Began {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return cmp.Or(err, fmt.Errorf("process %d was killed and does not end: it waits for something "+
		"that cannot be interrupted", s.Pid))
}

func (s *State) signal(signal unix.Signal) error {
	process, err := s.process()
	if err != nil {
		return err
	}
	defer process.Release()
	if err = process.Signal(signal); err != nil && err != os.ErrProcessDone {
		err = fmt.Errorf("kill(%d, %s): %w", s.Pid, unix.SignalName(signal), err)
	}
	return err
}

// Shown is the state as it is printed. A process that has ended has no number.
func (s *State) Shown() Shown {
	shown := Shown{State: s.State, Created: s.Created}
	if s.Status == specs.StateStopped {
		shown.Pid = 0
	}
	return shown
}

// Remove removes the state.
func (s *State) Remove() error { return os.RemoveAll(s.Dir) }

// Forget removes the directory of a container whose create was killed, so that its name is free again.
func (s Store) Forget(id string) error {
	if !isName(id) {
		return nil
	}
	return os.RemoveAll(filepath.Join(string(s), id))
}

// All returns the states of all containers.
func (s Store) All() (list []*State, err error) {
	entries, err := os.ReadDir(string(s))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		if st, err := s.Find(entry.Name()); err == nil {
			list = append(list, st)
		}
	}
	return list, err
}

// Signal sends the process a signal.
func (s *State) Signal(signal unix.Signal) error {
	err := os.ErrProcessDone
	if s.Status != specs.StateStopped {
		err = s.signal(signal)
	}
	if err == os.ErrProcessDone {
		return errors.New("container not running")
	}
	return err
}

// MayDelete returns an error if the container still runs, unless force is set.
func (s *State) MayDelete(force bool) error {
	if s.Status == specs.StateStopped || force {
		return nil
	}
	return fmt.Errorf("cannot delete container %s that is not stopped: %s", s.ID, s.Status)
}

// MayStart returns an error unless the container was created and not started.
func (s *State) MayStart() error {
	switch s.Status {
	case specs.StateCreated:
		return nil
	case specs.StateStopped:
		return errors.New("cannot start a container that has stopped")
	}
	return errors.New("cannot start an already running container")
}

// MayExec returns an error if exec cannot bring a process into the container.
func (s *State) MayExec() error {
	switch s.Status {
	case specs.StateStopped:
		return errors.New("cannot exec in a stopped container")
	case Paused:
		return errors.New("cannot exec in a paused container: resume it first")
	}
	return nil
}

// MayFreeze returns an error unless the container's processes can be stopped or, if stop is false,
// resumed.
func (s *State) MayFreeze(stop, hasFreezer bool) error {
	switch {
	case stop && s.Status != specs.StateRunning && s.Status != specs.StateCreated:
		return fmt.Errorf("container not running: it is %s", s.Status)
	case !stop && s.Status != Paused:
		return errors.New("container not paused")
	case !hasFreezer:
		return errors.New("pause needs a cgroup tree of version 2; " +
			"it may be mounted beside version 1: mount -t cgroup2 none DIR")
	}
	return nil
}
