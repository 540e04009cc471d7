package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMake makes a directory that two want at once, and nothing if it cannot be filled.
func TestMake(t *testing.T) {
	dir := t.TempDir()
	var lock sync.Mutex
	number := 0
	id := func() string {
		lock.Lock()
		defer lock.Unlock()
		number++
		return strings.Repeat(string(rune('a'+number)), 12)
	}
	notes := Notes{Dir: filepath.Join(dir, "notes"), NewID: id, RemoveTree: os.RemoveAll}
	require.NoError(t, os.Mkdir(notes.Dir, 0o700))
	path, full := filepath.Join(dir, "made"), errors.New("the disk is full")
	err := notes.Make(path, func(build string) error { return errors.Join(os.Mkdir(build, 0o755), full) })
	require.ErrorIs(t, err, full)
	require.ErrorContains(t, err, "make "+path)

	var both sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(2)
	errs := make([]error, 2)
	for i := range errs {
		both.Go(func() {
			errs[i] = notes.Make(path, func(build string) error {
				begun.Done()
				begun.Wait()
				return os.Mkdir(build, 0o755)
			})
		})
	}
	both.Wait()
	if errs[0] != nil {
		errs[0], errs[1] = errs[1], errs[0]
	}
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], unix.EEXIST)
	require.DirExists(t, path)
	for _, name := range []string{dir, notes.Dir} {
		left, err := os.ReadDir(name)
		require.NoError(t, err)
		for _, entry := range left {
			require.Contains(t, []string{"made", "notes"}, entry.Name(), "nothing is left")
		}
	}
}

// TestClear undoes what a killed process has left: what it was making is removed, and nothing else.
func TestClear(t *testing.T) {
	dir := t.TempDir()
	id := strings.Repeat("a", 12)
	notes := Notes{Dir: dir, NewID: func() string { return id }, RemoveTree: os.RemoveAll}
	path := filepath.Join(dir, "made")
	build, done, err := notes.Note(path)
	require.NoError(t, err)
	require.NoError(t, errors.Join(os.MkdirAll(build+"/half", 0o700), os.Mkdir(path, 0o700)))
	note := filepath.Join(dir, Unfinished+id)
	clear := func() {
		held, err := os.OpenFile(note, os.O_RDWR, 0)
		require.NoError(t, err)
		require.NoError(t, notes.Clear(held))
		require.Error(t, held.Close(), "it was closed")
	}
	clear()
	require.NoDirExists(t, build)
	require.DirExists(t, path)
	require.NoFileExists(t, note)
	require.Error(t, done(), "the note has gone")

	undone := filepath.Join(dir, "frozen")
	notes.Undo = map[string]func(string) error{"frozen": os.Remove}
	require.NoError(t, os.WriteFile(undone, nil, 0o600))
	for _, about := range []string{"", undone} {
		require.NoError(t, os.WriteFile(note, []byte(about), 0o600))
		clear()
		require.NoFileExists(t, note)
	}
	require.NoFileExists(t, undone)
}
