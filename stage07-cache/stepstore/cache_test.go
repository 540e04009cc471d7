package stepstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
)

func newCache(t *testing.T, layers ...digest.Digest) *Cache {
	c, err := OpenCache(filepath.Join(t.TempDir(), "cache"), t.TempDir(), func(err error) { require.NoError(t, err) })
	require.NoError(t, err)
	c.Has = func(layer digest.Digest) bool {
		for _, is := range layers {
			if is == layer {
				return true
			}
		}
		return false
	}
	c.Warn = func(err error) { require.NoError(t, err) }
	return c
}

func TestFind(t *testing.T) {
	layer := digest.FromString("layer")
	c := newCache(t, layer)
	entry := func(d digest.Digest) *Entry {
		return &Entry{Version: Version, Layer: &ocispec.Descriptor{Digest: d}}
	}
	require.NoError(t, c.Write("whole", entry(layer)))
	require.NoError(t, c.Write("empty", &Entry{Version: Version}))
	require.NoError(t, c.Write("gone", entry(digest.FromString("gone"))))
	require.NoError(t, c.Write("odd", entry("../x")))
	require.NoError(t, os.WriteFile(c.Path("steps", "cut.json"), []byte("{"), 0o600))
	for key, want := range map[string]string{"whole": "", "empty": "", "gone": "its layer was removed", "odd": "its layer was removed",
		"cut": "its entry in the cache is damaged", "none": "it is no longer in the cache"} {
		e, wrong := c.Find(key)
		require.Equal(t, want, wrong, key)
		require.Equal(t, want == "", e != nil, key)
	}
}

// TestFindIsAUse: prune removes what was not used for long.
func TestFindIsAUse(t *testing.T) {
	c, old := newCache(t), time.Now().Add(-time.Hour)
	for _, key := range []string{"used", "unused"} {
		require.NoError(t, c.Write(key, &Entry{Version: Version}))
		require.NoError(t, os.Chtimes(c.Path("steps", key+".json"), old, old))
	}
	c.Find("used")
	steps, err := List(c.Dir)
	require.NoError(t, err)
	require.Less(t, time.Since(steps[0].Used), time.Hour)
	require.GreaterOrEqual(t, time.Since(steps[1].Used), time.Hour)
}

func TestImport(t *testing.T) {
	c := newCache(t)
	require.ErrorContains(t, c.Import(nil, nil), "build it with --cache-to inline")
	note, err := Note(map[string]*Entry{"key": {Version: Version, Step: "RUN x"}})
	require.NoError(t, err)
	require.NoError(t, c.Import(map[string]string{Annotation: note}, nil))
	e, _ := c.Find("key")
	require.Equal(t, "RUN x", e.Step)
	require.True(t, c.IsImported("key", e))
	require.NoError(t, c.Write("key", e))
	e, _ = c.Find("key")
	require.False(t, c.IsImported("key", e), "one of the directory comes first")
	require.False(t, c.IsImported("other", nil))
}

func TestBrokenCacheIsLeftAlone(t *testing.T) {
	dir, temp := filepath.Join(t.TempDir(), "cache"), t.TempDir()
	require.NoError(t, Open(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "version"), []byte("99\n"), 0o600))
	var reason error
	c, err := OpenCache(dir, temp, func(err error) { reason = err })
	require.NoError(t, err)
	require.ErrorContains(t, reason, `is of version "99"`)
	require.True(t, c.Temp)
	require.Equal(t, temp, filepath.Dir(c.Dir))
	require.NoError(t, c.Write("key", &Entry{Version: Version}))
	require.NoFileExists(t, filepath.Join(dir, "steps", "key.json"))
}

func TestCacheLock(t *testing.T) {
	c, waits := newCache(t), 0
	held, err := c.Lock(t.Context(), "a", func() { waits++ })
	require.NoError(t, err)
	other, err := c.Lock(t.Context(), "b", func() { waits++ })
	require.NoError(t, err)
	require.Zero(t, waits)
	over, stop := context.WithCancel(t.Context())
	_, err = c.Lock(over, "a", func() { waits++; stop() })
	require.EqualError(t, err, "the build was interrupted")
	require.Equal(t, 1, waits)
	require.NoError(t, errors.Join(held.Close(), other.Close()))
}

func TestSlot(t *testing.T) {
	c := newCache(t)
	require.Equal(t, c.Slot("a", "b"), c.Slot("a", "b"))
	require.NotEqual(t, c.Slot("a", "b"), c.Slot("ab"))
	require.Len(t, filepath.Base(c.Slot("a")), 32+len(".json"))
}
