package cachemount

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage06-dockerfile/dockerfile"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestID(t *testing.T) {
	mode, uid := uint64(0o700), uint64(3)
	for want, mount := range map[string]dockerfile.Mount{
		"/c":                         {Target: "/c/"},
		"k":                          {Target: "/c", ID: "k"},
		"k\x00layers\x00":            {ID: "k", From: "base"},
		"k\x00layers\x00/src":        {ID: "k", Source: "/src"},
		"k\x003 0 755":               {ID: "k", UID: &uid},
		"k\x000 0 700":               {ID: "k", Mode: &mode},
		"k\x00layers\x00\x003 0 700": {ID: "k", From: "base", UID: &uid, Mode: &mode},
	} {
		require.Equal(t, want, ID(mount, "layers"))
	}
}

func TestOrder(t *testing.T) {
	a, b := dockerfile.Mount{Type: "cache", ID: "a"}, dockerfile.Mount{Type: "cache", Target: "/b/"}
	first := dockerfile.Mount{Type: "secret", ID: "z"}
	for _, mounts := range [][]dockerfile.Mount{{a, first, b}, {b, a, first}} {
		slices.SortStableFunc(mounts, Order)
		require.Equal(t, []dockerfile.Mount{first, b, a}, mounts) // "/b" < "a"
	}
}

// TestOneAtAPlace: of the mounts at one place, only the last is seen.
func TestOneAtAPlace(t *testing.T) {
	secret := dockerfile.Mount{Type: "secret", ID: "k"}
	list := InOrder([]dockerfile.Mount{
		{Type: "tmpfs", Target: "/w/a"}, {Type: "cache", Target: "/c/"}, secret, {Type: "bind", Target: "a"},
		{Type: "cache", Target: "/x/../c", ID: "k"}, secret,
	}, "/w")
	require.Equal(t, []dockerfile.Mount{
		secret, {Type: "bind", Target: "/w/a"}, secret, {Type: "cache", Target: "/c", ID: "k"},
	}, list)
}

func TestLock(t *testing.T) {
	first := filepath.Join(t.TempDir(), "cache")
	dir, held, err := lock(t.Context(), first, "shared")
	require.NoError(t, err)
	require.Nil(t, held)
	require.Equal(t, first, dir)
	_, held, err = lock(t.Context(), first, "locked")
	require.NoError(t, err)
	dir, other, err := lock(t.Context(), first, "private")
	require.NoError(t, err)
	require.Equal(t, first+"-1", dir)
	over, stop := context.WithCancel(t.Context())
	stop()
	_, _, err = lock(over, first, "locked")
	require.EqualError(t, err, "type=cache: the build was interrupted")
	require.NoError(t, held.Close())
	dir, again, err := lock(t.Context(), first, "private")
	require.NoError(t, err)
	require.Equal(t, first, dir)
	require.NoError(t, other.Close())
	require.NoError(t, again.Close())
}

// TestLocks: a step has the directory of a private cache once, however often it mounts it.
func TestLocks(t *testing.T) {
	first := filepath.Join(t.TempDir(), "cache")
	var one, other Locks
	for range 2 {
		dir, err := one.Lock(t.Context(), first, "private")
		require.NoError(t, err)
		require.Equal(t, first, dir)
		dir, err = other.Lock(t.Context(), first, "private")
		require.NoError(t, err)
		require.Equal(t, first+"-1", dir)
	}
	require.NoError(t, one.Release())
	dir, held, err := lock(t.Context(), first, "private")
	require.NoError(t, err)
	require.Equal(t, first, dir)
	require.NoError(t, errors.Join(held.Close(), other.Release()))
}

func TestEmpty(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	trash := dir + "-old"
	var e Emptied
	require.NoError(t, e.Empty(dir+"-none", trash))
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, e.Empty(dir, trash))
	require.DirExists(t, trash)
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, e.Empty(dir, trash+"er"), "once")
	require.DirExists(t, dir)
}
