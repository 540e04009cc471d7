// Package cachemount knows the directories of RUN --mount=type=cache, which builds share: what names
// one, who may use it when, and which a build has emptied. The caller makes them, and mounts them in a
// container. No lesson reads it.
package cachemount

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage06-dockerfile/dockerfile"
)

// ID is what names the directory of a mount: its id, or else its target, and all that it begins with.
// layers are those of from=.
func ID(mount dockerfile.Mount, layers string) string {
	id := idOf(mount)
	if mount.From != "" || mount.Source != "" {
		id += "\x00" + layers + "\x00" + mount.Source
	}
	if mount.UID != nil || mount.GID != nil || mount.Mode != nil {
		mode, uid, gid := mount.Attributes(0o755)
		id += fmt.Sprintf("\x00%d %d %o", uid, gid, mode)
	}
	return id
}

func idOf(mount dockerfile.Mount) string { return cmp.Or(mount.ID, path.Clean(mount.Target)) }

// Order puts the caches of a step last, by their ids: so no two steps wait for each other's locks.
func Order(a, b dockerfile.Mount) int {
	id := func(m dockerfile.Mount) string {
		if m.Type != "cache" {
			return ""
		}
		return idOf(m)
	}
	return cmp.Compare(id(a), id(b))
}

// InOrder returns the mounts of a step in Order, with absolute targets. Of two at one place only
// the later is seen, and only that is returned.
func InOrder(mounts []dockerfile.Mount, workDir string) (list []dockerfile.Mount) {
	last := map[string]int{}
	for i, m := range mounts {
		last[place(m, workDir)] = i
	}
	for i, m := range mounts {
		at := place(m, workDir)
		if m.Target != "" {
			m.Target = at
		}
		if at == "" || last[at] == i {
			list = append(list, m)
		}
	}
	slices.SortStableFunc(list, Order)
	return list
}

// place is where a mount is seen, or "" if that is nowhere.
func place(m dockerfile.Mount, workDir string) string {
	switch {
	case path.IsAbs(m.Target):
		return path.Clean(m.Target)
	case m.Target != "":
		return path.Join("/", workDir, m.Target)
	}
	return ""
}

// Locks are those of a step, on directories that are not shared. The zero value has none.
type Locks struct {
	files []*os.File
	taken map[string]string
}

// Lock locks a directory if it is not shared: with locked it waits for it, and with private it takes
// the first of several that is free, which it returns. A step that mounts it twice has it already.
func (l *Locks) Lock(ctx context.Context, first, sharing string) (dir string, err error) {
	if dir, taken := l.taken[first]; taken {
		return dir, nil
	}
	dir, held, err := lock(ctx, first, sharing)
	if held != nil {
		if l.taken == nil {
			l.taken = map[string]string{}
		}
		l.taken[first], l.files = dir, append(l.files, held)
	}
	return dir, err
}

// Release unlocks them all.
func (l *Locks) Release() (err error) {
	for _, held := range l.files {
		err = errors.Join(err, held.Close())
	}
	return err
}

// lock locks one directory. held is nil for one that is shared.
func lock(ctx context.Context, first, sharing string) (dir string, held *os.File, err error) {
	dir = first
	switch sharing {
	case "locked":
		held, err = state.Lock(ctx, dir+".lock", state.Exclusive)
		if err != nil && ctx.Err() != nil {
			err = errors.New("type=cache: the build was interrupted")
		}
	case "private":
		held, err = state.TryLock(dir+".lock", state.Exclusive)
		for n := 1; err == state.ErrBusy; n++ {
			dir = fmt.Sprintf("%s-%d", first, n)
			held, err = state.TryLock(dir+".lock", state.Exclusive)
		}
	}
	return dir, held, err
}

// Emptied are the directories that a build which does without the cache has emptied.
type Emptied struct {
	lock sync.Mutex
	dirs map[string]bool
}

// Empty makes way for an empty directory, once. Another build that uses the old one keeps it, under the
// name that trash is: the caller removes that later.
func (e *Emptied) Empty(dir, trash string) error {
	e.lock.Lock()
	defer e.lock.Unlock()
	if e.dirs[dir] {
		return nil
	}
	if e.dirs == nil {
		e.dirs = map[string]bool{}
	}
	e.dirs[dir] = true
	err := os.Rename(dir, trash)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
