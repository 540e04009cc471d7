package stubs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/union"
)

// tree makes a directory of files: a name that ends with / is a directory, another one a file of that text.
func tree(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			require.NoError(t, os.MkdirAll(path, 0o755))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

func TestMissing(t *testing.T) {
	dir := tree(t, map[string]string{"dev/": "", "proc/": "", "sys/": "", "etc/hosts": "", "real/": ""})
	require.NoError(t, os.Symlink("real", filepath.Join(dir, "link")))
	layers, err := union.Open([]string{dir})
	require.NoError(t, err)
	defer layers.Close()
	require.ElementsMatch(t, []string{"etc/hostname", "etc/resolv.conf"}, Missing(layers))
	require.ElementsMatch(t, []string{"etc/hostname", "etc/resolv.conf", "real/a/b", "real/a"},
		Missing(layers, "/link/a/b", "/dev"))
	require.Equal(t, "real/a/b", Missing(layers, "/link/a/b")[0], "the deepest")
}

// Only what is still empty goes: a step may have written to a mount point, or put a link there.
func TestRemove(t *testing.T) {
	layer := tree(t, map[string]string{"etc/hosts": "", "etc/hostname": "mine", "dev/": "", "data/own": "x"})
	outside := tree(t, map[string]string{"hosts": ""})
	require.NoError(t, os.Symlink(outside, filepath.Join(layer, "out")))
	require.NoError(t, Remove(layer, []string{"out/hosts", "etc/hosts", "etc/hostname", "data", "dev", "proc", "etc"}))
	require.FileExists(t, filepath.Join(outside, "hosts"))
	require.NoFileExists(t, filepath.Join(layer, "etc/hosts"))
	require.FileExists(t, filepath.Join(layer, "etc/hostname"))
	require.FileExists(t, filepath.Join(layer, "data/own"))
	require.NoDirExists(t, filepath.Join(layer, "dev"))
}
