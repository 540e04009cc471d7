package credentials_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage09-daemon/credentials"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestWith: the credentials are in a file while they are needed, and an error is passed on.
func TestWith(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	header := base64.URLEncoding.EncodeToString([]byte(`{"username":"a","password":"b","serveraddress":"there"}`))
	failed, was := errors.New("failed"), ""
	require.Equal(t, failed, credentials.With(header, func(directory string) error {
		was = directory
		text, err := os.ReadFile(filepath.Join(directory, "config.json"))
		require.NoError(t, err)
		require.JSONEq(t, `{"auths":{"there":{"auth":"YTpi","identitytoken":""}}}`, string(text))
		old(t, directory)
		credentials.Sweep()
		require.DirExists(t, directory, "it is in use")
		lock, err := os.Open(directory)
		require.NoError(t, err)
		require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB), "box login locks the directory itself")
		require.NoError(t, lock.Close())
		return failed
	}))
	require.NoDirExists(t, was)
	require.ErrorContains(t, credentials.With("x", nil), "X-Registry-Auth")
}

func old(t *testing.T, directory string) {
	require.NoError(t, os.Chtimes(directory, time.Time{}, time.Now().Add(-time.Minute)))
}

// TestSweep: what a killed daemon has left is removed, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	left, made, other := filepath.Join(dir, "stagebox-credentials-1"), filepath.Join(dir, "stagebox-credentials-2"), filepath.Join(dir, "other")
	for _, d := range []string{left, made, other} {
		require.NoError(t, os.Mkdir(d, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(d, "config.json"), nil, 0o600))
	}
	old(t, left)
	old(t, other)
	credentials.Sweep()
	require.NoDirExists(t, left)
	require.DirExists(t, made, "it was only just made")
	require.DirExists(t, other)
}
