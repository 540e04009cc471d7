package state

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/rawfile"
	"stagebox/stage04-unionfs/fault"
)

// ErrBusy means that another process holds a lock.
var ErrBusy = fault.Conflict.New("another box is using it")

// Kind is the kind of a lock: several processes can hold a shared one at a time, and only one
// process an exclusive one.
type Kind int16

const (
	Shared    Kind = unix.F_RDLCK
	Exclusive Kind = unix.F_WRLCK
)

// TryLock locks a file, which it makes if it is missing, or returns ErrBusy. The lock is that
// of an open file description (fcntl(2), F_OFD_SETLK): it passes on with the descriptor and
// ends when the last copy of it is closed, so a process that is killed holds none. The process
// that held it before may have removed or renamed the file meanwhile; a lock on a file without
// this name excludes no other process, so another one is taken.
func TryLock(path string, kind Kind) (*os.File, error) { return TryLockName(path, "", kind) }

// TryLockName locks one byte of a file, which a name stands for: so there need not be a file
// for each name. The empty name stands for the whole file.
func TryLockName(path, name string, kind Kind) (*os.File, error) {
	return open(path, func(file *os.File) error { return tryRegion(file, name, kind) })
}

// Lock is TryLock, and waits while other processes hold the lock, until ctx is done.
func Lock(ctx context.Context, path string, kind Kind) (*os.File, error) {
	return LockName(ctx, path, "", kind)
}

// LockName is TryLockName, and waits as Lock does.
func LockName(ctx context.Context, path, name string, kind Kind) (*os.File, error) {
	return open(path, func(file *os.File) error { return awaitRegion(ctx, file, name, kind) })
}

// open opens a file until the lock that it acquires is on the file that has the name.
func open(path string, acquire func(*os.File) error) (*os.File, error) {
	for {
		file, err := rawfile.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW, 0o600)
		if err != nil && replaceable(path) != nil {
			err = fmt.Errorf("lock %s: %w", path, errIrregular)
		}
		if err != nil {
			return nil, err
		}
		if err := acquire(file); err != nil {
			file.Close()
			return nil, err
		}
		if isStill(file, path) {
			return file, nil
		}
		file.Close()
	}
}

// isStill reports whether an open file still has its name.
func isStill(file *os.File, path string) bool {
	opened, err := file.Stat()
	named, errNamed := os.Stat(path)
	return err == nil && errNamed == nil && os.SameFile(opened, named)
}

// LockSoon tries to take an exclusive lock for a second, for one that others hold only for
// moments. It returns ErrBusy earlier if hope reports that they will not let go of it soon.
func LockSoon(ctx context.Context, path string, hope func() bool) (*os.File, error) {
	for end := time.Now().Add(time.Second); ; {
		file, err := TryLock(path, Exclusive)
		if err != ErrBusy || !hope() {
			return file, err
		}
		select {
		case <-ctx.Done():
			return nil, ErrBusy
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(end) {
			return nil, ErrBusy
		}
	}
}

// Convert changes the lock on an open file into one of another kind, or takes it if there is
// none. It does not wait: it returns ErrBusy, and the lock is as it was.
func Convert(file *os.File, kind Kind) error { return tryRegion(file, "", kind) }

// Await takes the lock on an open file, and waits for it until ctx is done.
func Await(ctx context.Context, file *os.File, kind Kind) error {
	return awaitRegion(ctx, file, "", kind)
}

// Held reports whether another process holds a lock on a file.
func Held(path string) bool { return HeldName(path, "") }

// FreedWithin waits, forever if the time is negative, and reports whether no other process holds a
// lock on a file any more.
func FreedWithin(path string, timeout time.Duration) bool {
	for end := time.Now().Add(timeout); Held(path); time.Sleep(2 * time.Millisecond) {
		if timeout >= 0 && time.Now().After(end) {
			return false
		}
	}
	return true
}

// HeldName reports whether another process, or another opening of the file in this one, holds
// the lock of a name in a file.
func HeldName(path, name string) bool {
	file, err := rawfile.Open(path, unix.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	part := region(name, Exclusive)
	err = unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &part)
	return err == nil && part.Type != unix.F_UNLCK
}

// region is the part of a file that a name stands for.
func region(name string, kind Kind) unix.Flock_t {
	if name == "" {
		return unix.Flock_t{Type: int16(kind)}
	}
	sum := sha256.Sum256([]byte(name))
	start := int64(binary.BigEndian.Uint64(sum[:]) >> 2)
	return unix.Flock_t{Type: int16(kind), Start: start, Len: 1}
}

func tryRegion(file *os.File, name string, kind Kind) error {
	part := region(name, kind)
	err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &part)
	switch err {
	case nil:
		return nil
	case unix.EAGAIN, unix.EACCES:
		return ErrBusy
	}
	return fmt.Errorf("fcntl(%q, F_OFD_SETLK): %w", file.Name(), err)
}

// awaitRegion waits in the kernel, where processes take turns. That cannot be interrupted: when
// ctx is done, a goroutine still waits, and holds the file open until it gets the lock, even if
// the caller has closed it.
func awaitRegion(ctx context.Context, file *os.File, name string, kind Kind) error {
	if err := tryRegion(file, name, kind); err != ErrBusy {
		return err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		var errLock error
		errControl := raw.Control(func(fd uintptr) { errLock = waitRegion(fd, name, kind) })
		done <- errors.Join(errControl, errLock)
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("fcntl(%q, F_OFD_SETLKW): %w", file.Name(), err)
	}
	return nil
}

func waitRegion(fd uintptr, name string, kind Kind) (err error) {
	part := region(name, kind)
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.FcntlFlock(fd, unix.F_OFD_SETLKW, &part)
	}
	return err
}

// Holders returns the other processes that hold a lock on a file. The kernel names none for such a
// lock, so that every open file is looked at (proc(5), /proc/PID/fdinfo).
func Holders(path string) (pids []int) { return holders("[0-9]*", path) }

// holders returns those of the processes whose number fits a pattern.
func holders(process, path string) (pids []int) {
	files, _ := filepath.Glob("/proc/" + process + "/fd/*") // no bad pattern
	for _, file := range files {
		if to, err := os.Readlink(file); err != nil || to != path {
			continue
		}
		info, err := os.ReadFile(strings.Replace(file, "/fd/", "/fdinfo/", 1))
		pid, errPID := strconv.Atoi(strings.Split(file, "/")[2])
		if err == nil && errPID == nil && pid != os.Getpid() && strings.Contains(string(info), "\nlock:") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// ClearLock removes what has the name of a lock and is not a regular file: nothing can be locked there.
func ClearLock(path string) error {
	if info, err := os.Lstat(path); err != nil || info.Mode().IsRegular() {
		return nil
	}
	return os.RemoveAll(path)
}

// KillHolders kills the processes that Holders returns.
func KillHolders(path string) error {
	for _, pid := range Holders(path) {
		if err := killHolder(pid, path); err != nil && err != os.ErrProcessDone {
			return fmt.Errorf("kill(%d, SIGKILL): %w", pid, err)
		}
	}
	return nil
}

// killHolder kills a process that holds a lock. The number may be another one's by now, so it looks
// once more when it has a handle on the process (os.FindProcess has a pidfd).
func killHolder(pid int, path string) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer process.Release()
	if len(holders(strconv.Itoa(pid), path)) == 0 {
		return os.ErrProcessDone
	}
	return process.Kill()
}
