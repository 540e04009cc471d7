// RUN --mount=type=cache: a directory that outlives the step, for what a package manager or a
// compiler keeps. It is no part of any layer, and what is in it is no part of a key. How
// several steps share one says sharing (the Dockerfile reference): shared is for all at
// once, locked for one after the other, private gives each a directory of its own.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// cacheMount is a directory in cache/mounts that a step holds the lock on.
type cacheMount struct {
	dir  string
	lock *os.File
}

// lockCaches locks the directories of all cache mounts of a step, in the order of their
// names: so two steps that both want the same two never wait for each other.
func (m *stepMounts) lockCaches() error {
	m.caches = map[string]*cacheMount{}
	mounts := slices.DeleteFunc(slices.Clone(m.in.Mounts), func(mount RunMount) bool { return mount.Type != "cache" })
	slices.SortStableFunc(mounts, func(a, b RunMount) int {
		return cmp.Or(cmp.Compare(cacheID(a), cacheID(b)), -cmp.Compare(a.Sharing, b.Sharing))
	})
	for _, mount := range mounts {
		if mount.From != "" || mount.Source != "" {
			return m.in.errorAt("--mount", "--mount=type=cache: box begins it empty: leave from and source out")
		}
		if m.caches[cacheID(mount)] != nil {
			continue
		}
		c, err := m.lockCache(mount)
		if err != nil {
			return m.in.errorAt("--mount", "--mount=type=cache: %v", err)
		}
		m.caches[cacheID(mount)] = c
	}
	return nil
}

// cacheID is what makes two mounts the same.
func cacheID(mount RunMount) string { return path.Clean(cmp.Or(mount.ID, mount.Target)) }

// lockCache gets one directory, as sharing says.
func (m *stepMounts) lockCache(mount RunMount) (*cacheMount, error) {
	b, name := m.s.b, digest.FromString(cacheID(mount)).Encoded()[:32]
	kind := int16(unix.F_RDLCK)
	if mount.Sharing == "locked" {
		kind = unix.F_WRLCK
	}
	if mount.Sharing != "private" {
		lock, err := b.waitFor("mount "+name, kind, "another step uses the cache "+cacheID(mount))
		return &cacheMount{b.cachePath("mounts", name), lock}, err
	}
	for i := 0; ; i++ {
		own := fmt.Sprintf("%s-%d", name, i)
		lock, err := lockByte(b.cachePath("lock"), "mount "+own, unix.F_WRLCK)
		if err != errBusy {
			return &cacheMount{b.cachePath("mounts", own), lock}, err
		}
	}
}

// cache mounts a directory that other builds see too.
func (m *stepMounts) cache(mount RunMount) error {
	dir := m.caches[cacheID(mount)].dir
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		mode := uint64(0o755)
		if mount.Mode != nil {
			mode = *mount.Mode
		}
		err = unix.Chmod(dir, uint32(mode))
		if os.Geteuid() == 0 { // an ordinary user can give nothing away
			err = errors.Join(err, os.Chown(dir, number64(mount.UID), number64(mount.GID)))
		}
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	m.mount(dir, mount.Target, mount.ReadOnly)
	return nil
}

// unlock lets other steps have the directories.
func (m *stepMounts) unlock() {
	for _, c := range m.caches {
		complain(c.lock.Close())
	}
}
