package copyup

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/union"
)

func TestParseOwner(t *testing.T) {
	dir := t.TempDir()
	layers, err := union.Open([]string{dir})
	require.NoError(t, err)
	defer layers.Close()
	owner := func(text string) (Owner, error) { return ParseOwner(layers, text) }
	for text, want := range map[string]Owner{"root": {0, 0}, "7": {7, 7}, "7:8": {7, 8}, "root:5": {0, 5}} {
		got, err := owner(text)
		require.NoError(t, err, "without a passwd: %s", text)
		require.Equal(t, want, got, text)
	}
	_, err = owner("app")
	require.Error(t, err)
	_, err = owner("7:8:9") // which USER takes
	require.Error(t, err)

	require.NoError(t, os.Mkdir(filepath.Join(dir, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("app:x:10:20::/:/bin/sh"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/group"), []byte("staff:x:50:"), 0o644))
	for text, want := range map[string]Owner{"app": {10, 20}, "app:staff": {10, 50}, "10": {10, 10}, "root": {0, 0}} {
		got, err := owner(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "etc/passwd")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "etc/passwd"), 0o755))
	again, err := union.Open([]string{dir})
	require.NoError(t, err)
	defer again.Close()
	_, err = ParseOwner(again, "app")
	require.ErrorContains(t, err, "/etc/passwd is not a file of up to")
}
