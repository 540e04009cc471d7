package sources

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage06-dockerfile/dockerfile"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestBelow: what .dockerignore leaves out is not there, and what it takes back is.
func TestBelow(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/one", "a/b/two", "a/b/kept", "skip/three", "skip/kept"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	ignore, err := dockerfile.ParseIgnore(".dockerignore", []byte("skip\n**/two\n!**/kept\n"))
	require.NoError(t, err)
	u, err := union.Open([]string{dir})
	require.NoError(t, err)
	defer u.Close()
	s := Search{From: u, Ignore: ignore}
	for start, want := range map[string][]string{
		".": {"a", "a/b", "a/b/kept", "a/one", "skip", "skip/kept"},
		"a": {"a/b", "a/b/kept", "a/one"},
	} {
		n, err := u.Find(start, false)
		require.NoError(t, err)
		var names []string
		require.NoError(t, s.Below(n, start, s.Filter(File{Node: n}), func(n *union.Node, rel string) error {
			names = append(names, rel)
			return nil
		}))
		require.Equal(t, want, names)
	}
}
