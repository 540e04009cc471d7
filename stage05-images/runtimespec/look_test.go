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

// CheckNewDir takes a directory that is missing or empty, and no other.
func TestCheckNewDir(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, CheckNewDir(dir))
	require.NoError(t, CheckNewDir(filepath.Join(dir, "new")))
	require.ErrorContains(t, CheckNewDir(filepath.Join(dir, "none/new")), "does not exist")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	require.ErrorContains(t, CheckNewDir(dir), "is not an empty directory")
	require.ErrorContains(t, CheckNewDir(filepath.Join(dir, "file")), "is not an empty directory")
}
