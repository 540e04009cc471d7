package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A directory that gets its name before its files are on the disk has a mark beside it, until
// SyncMarked has brought all such directories there at once. The mark is a symbolic link to the
// id of this boot of the machine. If the machine goes down meanwhile, the directory can have its
// name and lack files: the mark is then of an earlier boot, and DropUnsynced removes it.

// markSuffix ends the name of a mark.
const markSuffix = ".unsynced"

// bootID returns the id of this boot of the machine (random(4)).
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}

// Mark marks a directory that is about to get the name path. The mark is in the same parent and
// comes first: no journal keeps the name without it.
func Mark(path string) error {
	boot, err := bootID()
	if err == nil {
		err = os.Symlink(boot, path+markSuffix)
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return err
}

// Unmark removes a mark, which may be gone.
func Unmark(path string) error {
	err := os.Remove(path + markSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// SyncMarked brings everything on the file system of a directory to the disk (syncfs(2)), if
// anything in it was marked in this boot, and removes these marks. lock is the file whose lock is
// held while something is marked and gets its name.
func SyncMarked(dir, lock string) error {
	marked, err := underLock(lock, func() ([]string, error) {
		return listMarked(dir, func(of, boot string) bool { return of == boot })
	})
	if err != nil || len(marked) == 0 {
		return err
	}
	if err := syncFileSystem(dir); err != nil {
		return err
	}
	_, err = underLock(lock, func() (_ []string, err error) {
		for _, path := range marked {
			err = errors.Join(err, Unmark(path))
		}
		return nil, errors.Join(err, SyncDir(dir))
	})
	return err
}

// DropUnsynced removes, with drop, what was marked in a directory when the machine went down. Only
// the one that holds a lock alone does so; another one waits until that is done.
func DropUnsynced(dir, lock string, drop func(path string) error) error {
	left := func() []string {
		list, _ := listMarked(dir, func(of, boot string) bool { return of != boot })
		return list
	}
	isLeft := func() bool { return len(left()) > 0 }
	if !isLeft() {
		return nil
	}
	alone, err := LockSoon(context.Background(), lock, isLeft)
	switch {
	case err == ErrBusy && !isLeft(): // the other one has done it
		return nil
	case err != nil:
		return fmt.Errorf("what the machine had not finished in %s when it went down: %w", dir, err)
	}
	for _, path := range left() { // its mark goes last: a kill may come before
		err = errors.Join(err, cmp.Or(drop(path), Unmark(path)))
	}
	return errors.Join(err, alone.Close())
}

// listMarked returns the paths in a directory whose marks are of boots that want selects.
func listMarked(dir string, want func(of, boot string) bool) (list []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		name, marked := strings.CutSuffix(entry.Name(), markSuffix)
		if !marked {
			continue
		}
		boot, err := bootID()
		if err != nil {
			return nil, err
		}
		of, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if err == nil && want(of, boot) {
			list = append(list, filepath.Join(dir, name))
		}
	}
	return list, err
}

func underLock(path string, do func() ([]string, error)) ([]string, error) {
	held, err := Lock(context.Background(), path, Exclusive)
	if err != nil {
		return nil, err
	}
	list, err := do()
	return list, errors.Join(err, held.Close())
}

func syncFileSystem(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Syncfs(int(file.Fd())); err != nil {
		return fmt.Errorf("syncfs %q: %w", dir, err)
	}
	return nil
}
