package runtimestate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// TestStore: a container is found once its process is noted, with what was noted, and its directory
// has a copy of its configuration.
func TestStore(t *testing.T) {
	s := Store(filepath.Join(t.TempDir(), "made", "first"))
	_, err := s.Find("one")
	require.ErrorIs(t, err, ErrMissing)
	spec := &specs.Spec{Hostname: "inside", Annotations: map[string]string{"a": "b"}}
	one, err := s.Create("one", "/bundle", spec)
	require.NoError(t, err)
	require.Equal(t, specs.StateCreating, one.Status)
	_, err = s.Find("one")
	require.ErrorIs(t, err, ErrMissing, "it has no process yet")
	_, err = s.Create("one", "/bundle", spec)
	require.EqualError(t, err, "container with given ID already exists: one")
	config, err := os.ReadFile(filepath.Join(string(s), "one/config.json"))
	require.NoError(t, err)
	var kept specs.Spec
	require.NoError(t, json.Unmarshal(config, &kept))
	require.Equal(t, *spec, kept)

	require.NoError(t, one.Started(os.Getpid()))
	found, err := s.Find("one")
	require.NoError(t, err)
	require.Equal(t, specs.StateRunning, found.Status)
	require.Equal(t, os.Getpid(), found.Pid)
	require.Equal(t, "/bundle", found.Bundle)
	require.Equal(t, "b", found.Annotations["a"])
	require.True(t, one.Created.Equal(found.Created))

	require.NoError(t, os.WriteFile(one.path("state.json"), []byte("{"), 0o600))
	_, err = s.Find("one")
	require.ErrorContains(t, err, "state of container one: ")
	require.NotErrorIs(t, err, ErrMissing)
}

// TestNames: a name is that of a directory in the store, and of no other place.
func TestNames(t *testing.T) {
	s := Store(t.TempDir())
	for _, name := range []string{"a", "Z", "0", "a_b+c-d.e", "...", strings.Repeat("x", 255)} {
		_, err := s.Create(name, "/bundle", &specs.Spec{})
		require.NoError(t, err, name)
		require.DirExists(t, filepath.Join(string(s), name))
	}
	for _, name := range []string{"", ".", "..", "a/b", "../a", "a b", "a\x00", "ä", "a@", "a[", "a`", "a{", strings.Repeat("x", 256)} {
		_, err := s.Create(name, "/bundle", &specs.Spec{})
		require.ErrorContains(t, err, "invalid container ID", name)
		_, err = s.Find(name)
		require.ErrorIs(t, err, ErrMissing, name)
	}
}
