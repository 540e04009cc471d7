package union_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/union"
)

func TestLayerDir(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	link, file := filepath.Join(dir, "link"), filepath.Join(dir, "file")
	require.NoError(t, os.Symlink(".", link))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	got, err := union.LayerDir(link)
	require.NoError(t, err)
	require.Equal(t, dir, got)
	_, err = union.LayerDir(file)
	require.EqualError(t, err, "it is a file, and a layer is a directory; tar -x unpacks an archive into one")
	_, err = union.LayerDir(dir + "/none")
	require.EqualError(t, err, "there is no such directory")
}

func TestCheckApart(t *testing.T) {
	require.NoError(t, union.CheckApart([]string{"/b", "/a", "/ab", "/a b"}))
	require.NoError(t, union.CheckApart(nil))
	for _, layers := range [][]string{{"/a", "/a"}, {"/a/b", "/c", "/a"}} {
		require.ErrorContains(t, union.CheckApart(layers), "is the same as the layer /a/, or inside it", layers)
	}
}

func TestCopyMode(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	require.NoError(t, os.Chmod(from, 0o751|os.ModeSticky))
	require.NoError(t, union.CopyMode(from, to))
	info, err := os.Stat(to)
	require.NoError(t, err)
	require.Equal(t, 0o751|os.ModeSticky|os.ModeDir, info.Mode())
	require.ErrorIs(t, union.CopyMode(from+"/none", to), os.ErrNotExist)
}

func TestWhyInvalid(t *testing.T) {
	require.Contains(t, union.WhyInvalid("/proc/self/upper"), "dmesg")
}
