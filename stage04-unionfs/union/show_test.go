package union

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDirectoriesThatAnOverlayCanShow(t *testing.T) {
	beside, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.False(t, CanShow("/proc/self", beside), "a file system that is made up")
	require.False(t, CanShow("/", beside), "the other one is inside, and mounts are")
	require.False(t, CanShow(filepath.Join(beside, "none"), beside))
	require.False(t, CanShow(beside, beside))
	require.False(t, CanShow(filepath.Dir(beside), beside))
	require.True(t, isIn("/a/b", "/a"))
	require.True(t, isIn("/a", "/"))
	require.False(t, isIn("/ab", "/a"))
	require.Equal(t, `a b\c`, unescape.Replace(`a\040b\134c`))
}
