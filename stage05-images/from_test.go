package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A dry run makes and pulls no image, and says where it would come from.
func TestDryRunGetsNoImage(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	t.Cleanup(func() { require.NoError(t, removeTree(root)) })
	for _, c := range [][]string{
		{"the image tiny is not here, and would be made", "tiny", "true"},
		{"the image localhost:1/x:1 would be pulled from localhost:1; box pull localhost:1/x:1", "localhost:1/x:1"},
		{"the image tiny:latest would be pulled from ", "--pull", "always", "tiny"},
		{"invalid image name", "no:such:name"},
	} {
		out, stderr, status := run(t, append([]string{"run", "--root", root, "--dry-run"}, c[1:]...)...)
		require.Equal(t, 125, status, stderr)
		require.Empty(t, out)
		require.Contains(t, stderr, c[0])
	}
	list, err := Store{Root: root}.layout().Images()
	require.NoError(t, err)
	require.Empty(t, list)
}
