package volume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
)

func newDir(t *testing.T) Dir {
	notes := state.Notes{Dir: t.TempDir(), NewID: ids.New, RemoveTree: os.RemoveAll}
	return Dir{Path: t.TempDir(), Notes: notes}
}

// requireNothing holds that nothing is left under a temporary name.
func requireNothing(t *testing.T, d Dir, want ...string) {
	for dir, want := range map[string][]string{d.Notes.Dir: nil, d.Path: want} {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		require.Equal(t, want, names)
	}
}

func TestCreate(t *testing.T) {
	d := newDir(t)
	require.NoError(t, d.Create("v", map[string]string{"a": "b"}))
	require.NoError(t, d.Create("v", map[string]string{"a": "c"}), "it is there already")
	v, err := Read(d.Path, "v")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "b"}, v.Labels)
	require.DirExists(t, v.Mountpoint)
	requireNothing(t, d, "v")

	require.NoError(t, os.Remove(v.Mountpoint))
	require.ErrorContains(t, d.Create("v", nil), "box volume rm v", "it is damaged")
}

// fill puts a file into a volume.
func fill(data string) error { return os.WriteFile(filepath.Join(data, "file"), nil, 0o644) }

func TestPrepare(t *testing.T) {
	d := newDir(t)
	file := func(name string) string { return filepath.Join(d.Path, name, "_data", "file") }
	full := errors.New("the disk is full")
	require.ErrorIs(t, d.Prepare("v", nil, func(string) error { return full }, true), full)
	requireNothing(t, d)
	require.NoError(t, d.Prepare("v", nil, fill, false))
	require.FileExists(t, file("v"))
	require.NoError(t, d.Prepare("empty", nil, nil, true))
	require.NoFileExists(t, file("empty"))
	requireNothing(t, d, "empty", "v")
}

// TestRefill holds that a volume which is there gets its content once, while it is empty.
func TestLabelsOfANewVolume(t *testing.T) {
	d := newDir(t)
	require.NoError(t, d.Prepare("v", map[string]string{"a": "b"}, fill, true))
	require.NoError(t, d.Prepare("v", map[string]string{"a": "c"}, fill, true)) // it is there
	v, err := Read(d.Path, "v")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "b"}, v.Labels)
}

func TestRefill(t *testing.T) {
	d := newDir(t)
	file := filepath.Join(d.Path, "v", "_data", "file")
	require.NoError(t, d.Create("v", nil))
	require.NoError(t, d.Prepare("v", nil, fill, false))
	require.NoFileExists(t, file, "it is not the first start")
	require.NoError(t, d.Prepare("v", nil, fill, true))
	require.FileExists(t, file)
	again := func(string) error { return errors.New("it is not empty") }
	require.NoError(t, d.Prepare("v", nil, again, true))

	// What one that was killed had made ready is moved by the next.
	require.NoError(t, d.Create("half", nil))
	ready := filepath.Join(d.Path, "half", "ready")
	require.NoError(t, os.Mkdir(ready, 0o755))
	require.NoError(t, fill(ready))
	require.NoError(t, d.Prepare("half", nil, again, true))
	require.FileExists(t, filepath.Join(d.Path, "half", "_data", "file"))
	require.NoDirExists(t, ready)
	requireNothing(t, d, "half", "v")
}

// TestRemove asks twice whether the volume is in use: a container may get it in between.
func TestRemove(t *testing.T) {
	d := newDir(t)
	require.NoError(t, d.Prepare("v", nil, fill, false))
	for asked := range 2 {
		err := d.Remove("v", func() error {
			if asked--; asked < 0 {
				return ErrInUse
			}
			return nil
		})
		require.ErrorIs(t, err, ErrInUse)
		requireNothing(t, d, "v")
	}
	unused := func() error { return nil }
	require.NoError(t, d.Remove("v", unused))
	requireNothing(t, d)
	require.ErrorIs(t, d.Remove("v", unused), fs.ErrNotExist)
	requireNothing(t, d)
}

// An error of a volume without a name says nothing of the name that was made up for it.
func TestVolumeAtAFile(t *testing.T) {
	d := newDir(t)
	err := d.Prepare("0123", nil, func(string) error { return AtFile("/bin/sh") }, false)
	require.EqualError(t, About("0123", err), "a volume cannot be mounted at /bin/sh: it is a file in the container, and a volume is a directory")
	require.EqualError(t, About("0123", ErrInUse), "the volume 0123: "+ErrInUse.Error())
}
