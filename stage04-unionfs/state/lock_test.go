package state_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/state"
)

// free tries a lock and lets go of it.
func free(t *testing.T, path, name string, kind state.Kind) bool {
	file, err := state.TryLockName(path, name, kind)
	if err == state.ErrBusy {
		return false
	}
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return true
}

// Locks keep other processes away, and end with their own.
func TestLocksBetweenProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	require.False(t, state.Held(path), "there is no file")
	kill := start(t, "lock", path)
	require.True(t, state.Held(path))
	require.False(t, free(t, path, "", state.Shared))
	require.False(t, free(t, path, "", state.Exclusive))
	require.False(t, free(t, path, "a name in it", state.Exclusive))
	kill()
	require.False(t, state.Held(path))
	require.True(t, free(t, path, "", state.Exclusive))
	kill = start(t, "share", path)
	require.True(t, state.Held(path))
	require.True(t, free(t, path, "", state.Shared))
	require.False(t, free(t, path, "", state.Exclusive))
	kill()
}

// Of the names in one file each has a lock of its own.
func TestNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	file, err := state.TryLockName(path, "one", state.Exclusive)
	require.NoError(t, err)
	require.False(t, free(t, path, "one", state.Exclusive))
	require.False(t, free(t, path, "one", state.Shared))
	require.True(t, free(t, path, "two", state.Exclusive))
	require.True(t, state.HeldName(path, "one"))
	require.False(t, state.HeldName(path, "two"))
	require.NoError(t, file.Close())
	require.False(t, state.HeldName(path, "one"))
	require.True(t, free(t, path, "one", state.Exclusive))
}

// Lock waits until the lock is free, or the context is done; what it has left behind then
// keeps nobody away.
func TestLockWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	kill := start(t, "lock", path)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := state.Lock(short, path, state.Exclusive)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, path)
	_, err = state.LockName(short, path, "name", state.Shared)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	got := make(chan error)
	go func() {
		file, err := state.Lock(t.Context(), path, state.Exclusive)
		if err == nil {
			err = file.Close()
		}
		got <- err
	}()
	select {
	case err := <-got:
		require.Fail(t, "it did not wait", "%v", err)
	case <-time.After(20 * time.Millisecond):
	}
	kill()
	require.NoError(t, <-got)
	require.Eventually(t, func() bool { return !state.Held(path) }, time.Minute, time.Millisecond)
}

// The file may be removed, or have another name, before the lock on it is free: then the lock
// is on the one that has the name now.
func TestLockFileIsReplaced(t *testing.T) {
	for _, replace := range []func(path string) error{
		os.Remove,
		func(path string) error { return os.Rename(path, path+".old") },
		func(path string) error { return state.Write(path, nil, 0o600, state.Volatile) },
	} {
		path := filepath.Join(t.TempDir(), "lock")
		first, err := state.TryLock(path, state.Exclusive)
		require.NoError(t, err)
		got := make(chan *os.File)
		go func() {
			file, _ := state.Lock(t.Context(), path, state.Exclusive)
			got <- file
		}()
		time.Sleep(10 * time.Millisecond) // it waits
		require.NoError(t, replace(path))
		require.NoError(t, first.Close())
		file := <-got
		require.NotNil(t, file)
		locked, err := file.Stat()
		require.NoError(t, err)
		named, err := os.Stat(path)
		require.NoError(t, err)
		require.True(t, os.SameFile(locked, named))
		require.True(t, state.Held(path))
		require.NoError(t, file.Close())
	}
}

func TestConvert(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, err := state.TryLock(path, state.Shared)
	require.NoError(t, err)
	two, err := state.TryLock(path, state.Shared)
	require.NoError(t, err)
	require.ErrorIs(t, state.Convert(one, state.Exclusive), state.ErrBusy)
	require.False(t, free(t, path, "", state.Exclusive), "it is still shared")
	require.NoError(t, two.Close())
	require.NoError(t, state.Convert(one, state.Exclusive))
	require.False(t, free(t, path, "", state.Shared))
	require.NoError(t, state.Convert(one, state.Shared))
	require.True(t, free(t, path, "", state.Shared))
	require.NoError(t, one.Close())
}

// Await waits for the lock on a file that is open already.
func TestAwait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	kill := start(t, "lock", path)
	file, err := os.Open(path)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, state.Await(short, file, state.Shared), context.DeadlineExceeded)
	kill()
	require.NoError(t, state.Await(t.Context(), file, state.Shared))
	require.NoError(t, file.Close())
	require.Eventually(t, func() bool { return !state.Held(path) }, time.Minute, time.Millisecond)
}

// LockSoon goes on as long as there is hope, and for a second at most.
func TestLockSoon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := state.TryLock(path, state.Exclusive)
	require.NoError(t, err)
	_, err = state.LockSoon(t.Context(), path, func() bool { return false })
	require.ErrorIs(t, err, state.ErrBusy)
	begun, asked := time.Now(), 0
	_, err = state.LockSoon(t.Context(), path, func() bool { asked++; return true })
	require.ErrorIs(t, err, state.ErrBusy)
	require.GreaterOrEqual(t, time.Since(begun), time.Second)
	require.Greater(t, asked, 1)
	file, err := state.LockSoon(t.Context(), path, func() bool {
		if held != nil {
			require.NoError(t, held.Close())
		}
		held = nil
		return true
	})
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

// A lock that is never given up is waited for as long as was asked, and one that is, until then.
func TestFreedWithin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	require.True(t, state.FreedWithin(path, 0), "there is no such file")
	held, err := state.Lock(context.Background(), path, state.Exclusive)
	require.NoError(t, err)
	require.False(t, state.FreedWithin(path, 0))
	freed := make(chan bool)
	go func() { freed <- state.FreedWithin(path, -1) }()
	require.NoError(t, held.Close())
	require.True(t, <-freed)
}

// TestClearLock removes what keeps a lock from being made, and no lock.
func TestClearLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	require.NoError(t, state.ClearLock(path), "there is none")
	require.NoError(t, os.MkdirAll(path+"/full", 0o700))
	require.NoError(t, state.ClearLock(path))
	held, err := state.TryLock(path, state.Exclusive)
	require.NoError(t, err)
	defer held.Close()
	require.NoError(t, state.ClearLock(path))
	require.True(t, state.Held(path))
}
