package dockerfile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// makeTree makes files, and directories where a path ends in a slash.
func makeTree(t testing.TB, paths []string) string {
	dir := t.TempDir()
	for _, path := range paths {
		full := filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		if strings.HasSuffix(path, "/") {
			require.NoError(t, os.MkdirAll(full, 0o755))
		} else {
			require.NoError(t, os.WriteFile(full, nil, 0o644))
		}
	}
	return dir
}

// visible walks as a builder does: a directory that is ignored is there only with
// something in it.
func visible(t testing.TB, g *Ignore, dir, below string) (list []string) {
	entries, err := os.ReadDir(filepath.Join(dir, below))
	require.NoError(t, err)
	for _, entry := range entries {
		name := filepath.Join(below, entry.Name())
		ignored, whole, err := g.Ignores(name, entry.IsDir())
		require.NoError(t, err)
		var inside []string
		if entry.IsDir() && !whole {
			inside = visible(t, g, dir, name)
		}
		if ignored && len(inside) == 0 {
			continue
		}
		if entry.IsDir() {
			name += "/"
		}
		list = append(append(list, name), inside...)
	}
	return list
}

func TestPatternsHideWhatBuildKitHides(t *testing.T) {
	var want map[string][]string
	records(t, "testdata/ignore.json", &want)
	files := archived(t, "testdata/ignore.txtar")
	dir := makeTree(t, strings.Fields(string(files["tree"])))
	require.Greater(t, len(want), 50)
	for name, list := range want {
		g, err := ParseIgnore(".dockerignore", files[name])
		if slices.Equal(list, []string{"error"}) {
			require.ErrorContains(t, err, ".dockerignore: ", name)
			continue
		}
		require.NoError(t, err, name)
		require.ElementsMatch(t, list, visible(t, g, dir, ""), "%s: %s", name, files[name])
	}
}

func TestDirectoriesAreSkippedWhole(t *testing.T) {
	for patterns, want := range map[string]bool{
		"a": true, "a\n!b": true, "a\n!ab": true, "a\n!a/b": false, "a\n!*/c": false, "a\n!**/c": false, "*\n!?/c": false, "b": false, "a\n!a": false,
	} {
		g, err := ParseIgnore(".dockerignore", []byte(patterns))
		require.NoError(t, err)
		_, whole, err := g.Ignores("a", true)
		require.NoError(t, err)
		require.Equal(t, want, whole, patterns)
	}
}

// FuzzIgnore: a directory that is skipped whole holds nothing that would be seen.
func FuzzIgnore(f *testing.F) {
	for _, patterns := range archived(f, "testdata/ignore.txtar") {
		f.Add(string(patterns), "a/b/c")
	}
	f.Fuzz(func(t *testing.T, patterns, name string) {
		g, err := ParseIgnore(".dockerignore", []byte(patterns))
		if err != nil {
			return
		}
		name = strings.TrimPrefix(filepath.Clean("/"+name), "/")
		dir := filepath.Dir(name)
		if name == "" || dir == "." {
			return
		}
		_, whole, err := g.Ignores(dir, true)
		ignored, _, errBelow := g.Ignores(name, false)
		if err == nil && errBelow == nil && whole {
			require.True(t, ignored, "%q is seen in %q", name, dir)
		}
	})
}
