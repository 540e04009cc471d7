// Package state keeps files that several processes read and change, each of which may be
// killed at any moment. A file is replaced as a whole or not at all (Write, Create), and a
// process that changes something holds a lock on it (Lock). Sweep removes what killed
// processes have left half written.
//
// A file is Durable or Volatile. Durable files are on the disk when the call returns: the
// record of a container that is kept, images and the index of their names, networks, the
// cache's version, files that the user named. Volatile files may be lost when the machine
// goes down, or found empty, and their readers take that for missing: the record of a
// container that ends with its command, sizes and other notes beside a layer, entries of the
// build cache, leases of addresses.
//
// Four things do not use this package. A cgroup and the directory of Docker's configuration are
// locked with flock(2), because a directory cannot be opened for writing, which an exclusive
// lock of an open file description needs; the name of a download that was broken off is its
// digest, so that the next pull finds it; and whole directories are renamed by their owners, who
// can mark one that is not on the disk yet (Mark, SyncMarked).
//
// The lesson reads Write and TryLock.
package state

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/rawfile"
)

// Durability says what a file survives once it is written: the end of the process, or that of
// the machine as well, which costs a wait for the disk (fsync(2)).
type Durability bool

const (
	Volatile Durability = false
	Durable  Durability = true
)

// Pending is a file that is being written and has no name yet that others look for. Its
// temporary name goes when the file is committed or discarded.
type Pending struct {
	*os.File
	gone bool // the temporary name
}

// temporary begins the names of pending files.
const temporary = ".new-"

// Create makes a pending file in a directory, which has to be on the file system of the file's
// later name. Until then only its owner can read it. It is locked, so that Sweep knows it from
// one whose process was killed.
func Create(dir string) (*Pending, error) {
	for {
		path := filepath.Join(dir, PendingName())
		file, err := rawfile.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		// Where there are no locks, Sweep does not get one either, and removes nothing.
		if Convert(file, Exclusive) != ErrBusy && isStill(file, path) {
			return &Pending{File: file}, nil
		}
		file.Close() // Sweep came before the lock, and removes it
	}
}

// Commit closes the file and gives it its name and exactly these permissions, whatever the
// umask. A file that has the name is replaced in one step: a reader opens either the old one
// or the new one. Anything that is not a regular file, a symbolic link too, is not replaced.
// After an error the old file is there and the new one is discarded.
func (p *Pending) Commit(path string, mode fs.FileMode, d Durability) error {
	err := replaceable(path)
	if err == nil {
		err = p.Chmod(mode)
	}
	if err == nil && d == Durable {
		err = p.Sync()
	}
	if err == nil {
		err = os.Rename(p.Name(), path)
	}
	if err != nil {
		return errors.Join(err, p.Discard())
	}
	p.gone = true
	err = p.Close() // which ends the lock: only now
	if d == Durable {
		err = errors.Join(err, SyncDir(dirOf(path)))
	}
	return err
}

// Reopen opens a pending file that was closed instead of committed, by a process that has too
// many to keep them open. In the meantime Sweep takes it for one of a process that was killed.
func Reopen(path string) (*Pending, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := Convert(file, Exclusive); err == ErrBusy {
		return nil, errors.Join(err, file.Close())
	}
	return &Pending{File: file}, nil
}

// Discard closes the file and removes it. After Commit it does nothing.
func (p *Pending) Discard() error {
	if p.gone {
		return nil
	}
	p.gone = true
	return errors.Join(os.Remove(p.Name()), p.Close())
}

var errIrregular = errors.New("not a regular file; remove it")

// replaceable refuses a name that something other than a regular file has.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "replace", Path: path, Err: errIrregular}
	}
	return err
}

// dirOf is the directory of a path. filepath.Dir would take link/../file for file.
func dirOf(path string) string {
	dir, _ := filepath.Split(path)
	if dir == "" {
		return "."
	}
	return dir
}

// Write replaces a file, or makes it, as Commit does.
func Write(path string, data []byte, mode fs.FileMode, d Durability) error {
	p, err := Create(dirOf(path))
	if err != nil {
		return err
	}
	if _, err := p.Write(data); err != nil {
		return errors.Join(err, p.Discard())
	}
	return p.Commit(path, mode, d)
}

// WriteJSON replaces a record, which everyone may read who can enter its directory. Fields of a
// struct that are zero are left out.
func WriteJSON(path string, value any, d Durability) error {
	_, err := writeJSON(path, value, d)
	return err
}

// writeJSON returns the text; nil if it may not be there.
func writeJSON(path string, value any, d Durability) ([]byte, error) {
	data, err := marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := Write(path, data, 0o644, d); err != nil {
		return nil, err
	}
	return data, nil
}

// texts are buffers of ReadJSON, of which nothing is kept in what it reads: a list of thousands of
// records needs one or two.
var texts = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// ReadJSON reads a record.
func ReadJSON(path string, value any) error {
	buffer := texts.Get().(*bytes.Buffer)
	defer texts.Put(buffer)
	buffer.Reset()
	buffer.Grow(2048)
	data, err := rawfile.Append(buffer.AvailableBuffer(), path)
	if err != nil {
		return err
	}
	if err := Unmarshal(data, value); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Unmarshal reads JSON by the rules of encoding/json, in half its time.
func Unmarshal(data []byte, value any) error {
	return json.Unmarshal(data, value, jsonv1.DefaultOptionsV1())
}

// SyncDir brings the names in a directory to the disk. It is not an error that a file system has
// nothing to do for that, or that the user may write to the directory and not read it.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		err = nil
	}
	return errors.Join(err, dir.Close())
}

// Sweep removes the pending files of processes that were killed from a directory, which may be
// missing. It needs no lock: a file that is being written has its own.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if IsPending(entry.Name()) {
			err = errors.Join(err, sweepFile(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

// PendingName returns a new name that IsPending recognizes.
func PendingName() string { return temporary + rand.Text() }

// IsPending reports whether a file's name is one that Create gives: the prefix and 26 letters and
// digits of base32.
func IsPending(name string) bool {
	random, is := strings.CutPrefix(name, temporary)
	return is && len(random) == 26 && strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

func sweepFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if Convert(file, Exclusive) == nil && isStill(file, path) {
		err = os.Remove(path)
	}
	return err
}

// Dir returns the absolute path of the directory in which a program keeps its state: root if that
// is given, else the default of the user, /var/lib/stagebox for root and below XDG_DATA_HOME for
// others.
func Dir(root string) string {
	if root == "" && os.Geteuid() == 0 {
		root = "/var/lib/stagebox"
	} else if root == "" {
		data := cmp.Or(os.Getenv("XDG_DATA_HOME"), filepath.Join(os.Getenv("HOME"), ".local/share"))
		root = filepath.Join(data, "stagebox")
	}
	if abs, err := filepath.Abs(root); err == nil {
		return abs
	}
	return root
}
