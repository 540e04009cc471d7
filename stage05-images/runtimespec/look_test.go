package runtimespec

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

func TestPresent(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"rootfs/etc", "own/sub"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rootfs/etc/file"), nil, 0o644))
	spec := &specs.Spec{Root: &specs.Root{Path: filepath.Join(dir, "rootfs")}, Mounts: []specs.Mount{
		{Destination: "/data", Type: "bind", Source: filepath.Join(dir, "own"), Options: []string{"rbind"}},
		{Destination: "/new", Type: "tmpfs"},
		{Destination: "/proc", Type: "proc"},
	}}
	for name, want := range map[string][2]bool{
		"/etc": {true, true}, "/etc/file": {true, false}, "/none": {},
		"/data/sub": {true, true}, "/data/none": {}, "/new": {}, "/new/sub": {},
		"/proc/self/status": {true, false}, "/proc/none": {},
	} {
		var places []Place
		if want[0] {
			places = []Place{{name, want[1]}}
		}
		require.Equal(t, places, Present(spec, []string{name}), name)
	}
}

// TestNewDir: only a directory that is missing or empty is taken.
func TestNewDir(t *testing.T) {
	dir := t.TempDir()
	refused := func(name, says string) {
		_, err := NewDir(filepath.Join(dir, name))
		require.ErrorContains(t, err, says)
	}
	for _, name := range []string{"", "new"} {
		made, err := NewDir(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, filepath.Join(dir, name), made)
	}
	t.Chdir(dir)
	made, err := NewDir("new")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "new"), made)
	refused("none/new", "does not exist")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	refused("", "is not an empty directory")
	refused("file", "is not an empty directory")
}
