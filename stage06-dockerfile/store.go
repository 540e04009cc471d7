// What lasts is on disk, in plain files that one can look at. Everything is written so that
// a kill at any instant loses nothing and leaves nothing half-named: under a temporary name
// first, then to the disk (fsync(2)), then under its own name (rename(2)). Locks are those
// of fcntl(2) on open files: they end with the last process that has the file open.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Store is the directory that box keeps its state in.
type Store struct {
	Root string `help:"Where box keeps what lasts: containers and volumes. Usual is /var/lib/stagebox for root, ~/.local/share/stagebox for others." env:"BOX_ROOT" placeholder:"DIR" group:"Store:"`

	limits LayerLimits // of what is unpacked into it
}

// path is a path in the store.
func (s Store) path(names ...string) string {
	return filepath.Join(append([]string{s.dir()}, names...)...)
}

func (s Store) dir() string {
	root := s.Root
	if root == "" && os.Geteuid() == 0 {
		root = "/var/lib/stagebox"
	}
	if root == "" {
		data := os.Getenv("XDG_DATA_HOME")
		if data == "" {
			data = filepath.Join(os.Getenv("HOME"), ".local/share")
		}
		root = filepath.Join(data, "stagebox")
	}
	if abs, err := filepath.Abs(root); err == nil {
		return abs
	}
	return root
}

// open makes the directories of the store that are missing, and finishes what boxes that
// were killed had begun. They are for their owner alone: in a container's files may be setuid
// programs (CVE-2021-41091).
func (s Store) open() (err error) {
	for _, dir := range []string{"containers", "running", "volumes"} {
		err = errors.Join(err, os.MkdirAll(s.path(dir), 0o700))
	}
	if err = errors.Join(err, s.makeMountPoints()); err != nil {
		return fmt.Errorf("the store: %w; another place for it is given by --root DIR or BOX_ROOT", err)
	}
	return s.sweep()
}

// makeMountPoints makes the layer that lies below all others: what every container has
// something mounted on. A root that lacks one of these is not changed for it.
func (s Store) makeMountPoints() (err error) {
	if _, err := os.Lstat(s.path("mountpoints/sys")); err == nil {
		return nil // it is made last
	}
	etc := s.path("mountpoints/etc")
	err = errors.Join(os.MkdirAll(etc, 0o755), os.Chmod(s.path("mountpoints"), 0o755), os.Chmod(etc, 0o755)) // whatever the umask
	for _, name := range []string{"hostname", "hosts", "resolv.conf"} {
		file, errFile := os.OpenFile(filepath.Join(etc, name), os.O_RDONLY|os.O_CREATE, 0o644)
		err = errors.Join(err, errFile, file.Close())
	}
	for _, dir := range []string{"dev", "proc", "sys"} {
		err = errors.Join(err, os.MkdirAll(s.path("mountpoints", dir), 0o755))
	}
	return err
}

// begun notes a path that will be half made, or half removed, for a while: if box is killed
// before it says done, the next box removes what is there. The file cgroup.freeze stands for
// processes that are stopped, and shall go on.
func (s Store) begun(path string) (done func() error, err error) {
	held, err := lockSoon(s.path("running", unfinished+newID()), func() bool { return true })
	if err != nil {
		return nil, err
	}
	if _, err := held.WriteString(path); errors.Join(err, held.Sync()) != nil {
		return nil, errors.Join(err, os.Remove(held.Name()), held.Close())
	}
	return func() error { return errors.Join(os.Remove(held.Name()), held.Close()) }, nil
}

// unfinished begins the names of begun's notes among those of containers.
const unfinished = "unfinished-"

// sweep finishes what boxes that were killed had begun. Whoever is in running/ without a
// lock on it is dead; the kernel has ended its container with it. What cannot be mended
// hinders nobody who wants something else.
func (s Store) sweep() error {
	entries, err := os.ReadDir(s.path("running"))
	for _, entry := range entries {
		held, err := lock(s.path("running", entry.Name()))
		if err == errBusy {
			continue
		}
		if err == nil && strings.HasPrefix(entry.Name(), unfinished) {
			err = removeUnfinished(held)
		} else if err == nil {
			err = s.repair(entry.Name(), held)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "box: what a box that was killed has left: %v\n", err)
		}
	}
	return err
}

// removeUnfinished removes what a note is about, and the note.
func removeUnfinished(held *os.File) error {
	path, err := io.ReadAll(held)
	if err == nil && filepath.Base(string(path)) == "cgroup.freeze" {
		if err = os.WriteFile(string(path), []byte("0"), 0); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	} else if err == nil && len(path) > 0 {
		err = removeTree(string(path))
	}
	if err == nil {
		err = os.Remove(held.Name())
	}
	return errors.Join(err, held.Close())
}

// writeJSON writes a file as a whole. Durable means that it is on the disk afterwards.
func writeJSON(path string, value any, durable bool) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, append(data, '\n'), durable)
}

// writeFile replaces a file. Whoever calls it holds the lock on what the file is about.
func writeFile(path string, data []byte, durable bool) (err error) {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(data)
	if err == nil && durable {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return err
	}
	if durable {
		return syncDir(filepath.Dir(path))
	}
	return nil
}

// syncDir brings the names in a directory to the disk.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// readJSON reads what writeJSON wrote.
func readJSON(path string, value any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// errBusy means that another process holds a lock.
var errBusy = errors.New("another box is at work on it")

// lock makes a file and locks it, or returns errBusy. Whoever had the lock before may have
// removed the file meanwhile: then the lock is on nothing that has a name, and is of no use.
func lock(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		whole := unix.Flock_t{Type: unix.F_WRLCK}
		err = unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &whole)
		if err == unix.EAGAIN || err == unix.EACCES {
			file.Close()
			return nil, errBusy
		}
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("fcntl(%q, F_OFD_SETLK): %w", path, err)
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(file.Fd()), &st); err == nil && st.Nlink > 0 {
			return file, nil
		}
		file.Close()
	}
}

// isHeld tells whether somebody holds the lock on a file.
func isHeld(path string) bool {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &whole)
	return err == nil && whole.Type != unix.F_UNLCK
}

// lockSoon waits for a lock that somebody may have for a moment, as long as there is hope.
func lockSoon(path string, hope func() bool) (file *os.File, err error) {
	for end := time.Now().Add(time.Second); ; time.Sleep(2 * time.Millisecond) {
		if file, err = lock(path); err != errBusy || !hope() || time.Now().After(end) {
			return file, err
		}
	}
}
