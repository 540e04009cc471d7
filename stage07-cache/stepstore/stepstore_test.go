package stepstore

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
)

// write puts a step with a layer into a cache, last used so long ago.
func write(t *testing.T, dir, key string, ago time.Duration, bytes int64) digest.Digest {
	layer := digest.FromString(key)
	path := filepath.Join(dir, "steps", key+".json")
	e := &Entry{Version: Version, Step: "RUN " + key, Layer: &ocispec.Descriptor{Digest: layer}, On: layer, Bytes: bytes}
	require.NoError(t, Write(path, e))
	used := time.Now().Add(-ago)
	require.NoError(t, os.Chtimes(path, used, used))
	return layer
}

// A file that was changed, cut or written by other rules is an error, never a step.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Open(dir))
	write(t, dir, "a", 0, 7)
	path := filepath.Join(dir, "steps", "a.json")
	e, err := Read(path)
	require.NoError(t, err)
	require.Equal(t, "RUN a", e.Step)

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, change := range [][]byte{nil, data[:len(data)/2], data[1:], append([]byte("{}\n"), data...)} {
		require.NoError(t, os.WriteFile(path, change, 0o600))
		_, err := Read(path)
		require.ErrorContains(t, err, "is damaged", "%s", change)
	}
	require.NoError(t, Write(path, &Entry{Version: Version + 1}))
	_, err = Read(path)
	require.ErrorContains(t, err, "is of another version")
	_, err = Read(path + "x")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	require.NoError(t, Open(dir))
	require.NoError(t, Open(dir), "again")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "version"), []byte("99\n"), 0o600))
	require.ErrorContains(t, Open(dir), `is of version "99", and this box writes 1`)
}

func TestForget(t *testing.T) {
	for name, c := range map[string]struct {
		Pruning
		freed int64
		left  []string
	}{
		"unused":     {Pruning{}, 60, []string{"imaged"}},
		"all":        {Pruning{All: true}, 60, nil},
		"keep two":   {Pruning{Keep: 30}, 30, []string{"new", "older", "imaged"}},
		"only old":   {Pruning{Age: 90 * time.Minute}, 50, []string{"new", "imaged"}},
		"all, keep1": {Pruning{All: true, Keep: 10}, 50, []string{"new"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, Open(dir))
			write(t, dir, "new", time.Hour, 10)
			write(t, dir, "older", 2*time.Hour, 20)
			write(t, dir, "oldest", 3*time.Hour, 30)
			imaged := write(t, dir, "imaged", 4*time.Hour, 100)
			damaged := filepath.Join(dir, "steps", "damaged.json")
			long := time.Now().Add(-5 * time.Hour)
			require.NoError(t, errors.Join(os.WriteFile(damaged, []byte("{"), 0o600), os.Chtimes(damaged, long, long)))
			steps, err := List(dir)
			require.NoError(t, err)
			require.Len(t, steps, 5, "the damaged one is counted")
			freed, err := c.Forget(steps, map[digest.Digest]bool{imaged: true})
			require.NoError(t, err)
			require.Equal(t, c.freed, freed)
			var left []string
			steps, err = List(dir)
			require.NoError(t, err)
			for _, step := range steps {
				require.NotNil(t, step.Layer, "a damaged one is always removed")
				left = append(left, step.Step[len("RUN "):])
			}
			require.Equal(t, c.left, left)
		})
	}
}

func TestFilter(t *testing.T) {
	var p Pruning
	require.NoError(t, p.Filter(""))
	require.NoError(t, p.Filter("until=24h"))
	require.Equal(t, 24*time.Hour, p.Age)
	require.ErrorContains(t, p.Filter("until=x"), "--filter until=x: give the time since the last use")
	require.ErrorContains(t, p.Filter("label=x"), `--filter label=x: invalid filter "label"; available: until`)
}

func TestListOfNothing(t *testing.T) {
	steps, err := List(t.TempDir())
	require.NoError(t, err)
	require.Empty(t, steps)
}

func TestReadNote(t *testing.T) {
	layer := digest.FromString("layer")
	note := func(e *Entry) string {
		data, err := json.Marshal(map[string]*Entry{"key": e})
		require.NoError(t, err)
		return string(data)
	}
	made := &Entry{Version: Version, Layer: &ocispec.Descriptor{Digest: layer}}
	steps, err := ReadNote(note(made), []digest.Digest{digest.FromString("below"), layer})
	require.NoError(t, err)
	require.Equal(t, layer, steps["key"].Layer.Digest)
	steps, err = ReadNote(note(&Entry{Version: Version}), nil)
	require.NoError(t, err)
	require.Len(t, steps, 1, "it made no layer")
	for _, e := range []*Entry{nil, made, {Version: Version + 1}} {
		steps, err := ReadNote(note(e), nil)
		require.NoError(t, err)
		require.Empty(t, steps)
	}
	_, err = ReadNote("{", nil)
	require.ErrorContains(t, err, "the list of its steps: ")
}

func TestBytes(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Open(dir))
	imaged := write(t, dir, "imaged", 0, 100)
	write(t, dir, "own", 0, 10)
	steps, err := List(dir)
	require.NoError(t, err)
	require.EqualValues(t, 10, Bytes(append(steps, steps...), map[digest.Digest]bool{imaged: true}))
}

// TestPrune: what a killed build was writing goes too, whether there are steps to forget or not.
func TestPrune(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Open(dir))
	write(t, dir, "own", time.Hour, 10)
	imaged := write(t, dir, "imaged", time.Hour, 100)
	pending, err := state.Create(filepath.Join(dir, "urls"))
	require.NoError(t, err)
	require.NoError(t, pending.Close())
	freed, err := Pruning{}.Prune(dir, map[digest.Digest]bool{imaged: true})
	require.NoError(t, err)
	require.EqualValues(t, 10, freed)
	require.NoFileExists(t, pending.Name())
	steps, err := List(dir)
	require.NoError(t, err)
	require.Len(t, steps, 1)
}
