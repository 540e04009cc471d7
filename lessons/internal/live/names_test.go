package live

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNames finds the link of a box's container, and the short id of another runtime's.
func TestNames(t *testing.T) {
	store, id := t.TempDir(), strings.Repeat("0a", 32)
	require.NoError(t, os.MkdirAll(filepath.Join(store, id, "upper"), 0o755))
	root := Root{Layers: []Layer{{filepath.Join(store, id, "upper"), true}, {"/low", false}}}
	require.Empty(t, named(root, "/box-0a"))
	require.NoError(t, os.Symlink("another", filepath.Join(store, "inn")))
	require.NoError(t, os.Symlink(id, filepath.Join(store, "shop")))
	require.Equal(t, "shop", named(root, "/box-0a"))
	require.Equal(t, id[:12], named(Root{}, "/system.slice/docker-"+id+".scope"))
	require.Empty(t, named(Root{Layers: []Layer{{"/no/such/upper", true}}}, "/user.slice"))
}
