package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Only a word that is no image, here or elsewhere, may have been meant for a program of the host.
func TestHintOfAPath(t *testing.T) {
	s := newStore(t)
	hint := "a program of this host is named by its path"
	_, stderr, status := run(t, "run", "--root", s.Root, "--pull", "never", "nosuch")
	require.Equal(t, 125, status)
	require.Contains(t, stderr, hint)
	require.NotContains(t, stderr, "did you mean")
	_, stderr, _ = run(t, "run", "--root", s.Root, "--pull", "never", "tinny")
	require.Contains(t, stderr, "\n     did you mean tiny?\n     "+hint)
	_, stderr, status = run(t, "import", "--root", s.Root, emptyArchive(t), "shop:1")
	require.Zero(t, status, stderr)
	_, stderr, _ = run(t, "run", "--root", s.Root, "--pull", "never", "shp:1")
	require.Contains(t, stderr, "\n     did you mean shop:1?\n     "+hint)
	partial := filepath.Join(s.Root, "images", "partial")
	require.NoError(t, os.RemoveAll(partial))
	require.NoError(t, os.WriteFile(partial, nil, 0o600))
	_, stderr, status = run(t, "run", "--root", s.Root, "tiny", "true")
	require.Equal(t, 125, status)
	require.Contains(t, stderr, partial)
	require.NotContains(t, stderr, hint)
}

// Nothing listens on port 1, so what is seen is the line before the first request.
func TestPullIsAnnounced(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	t.Cleanup(func() { require.NoError(t, removeTree(root)) })
	_, stderr, status := run(t, "run", "--root", root, "localhost:1/x:1")
	require.Equal(t, 125, status)
	require.Regexp(t, `^box: pulling localhost:1/x:1 from localhost:1\n`, stderr)
	for _, verb := range []string{"run", "create"} {
		_, stderr, status = run(t, verb, "--root", root, "-q", "localhost:1/x:1")
		require.NotZero(t, status)
		require.Regexp(t, `^box: there is no image localhost:1/x:1 here, and it cannot be pulled: `, stderr)
	}
}

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

// A store that was moved has its containers, and a copy of it reads nothing of the first.
func TestMovedStore(t *testing.T) {
	dir := t.TempDir()
	first, moved, copied := filepath.Join(dir, "first"), filepath.Join(dir, "moved"), filepath.Join(dir, "copied")
	box := func(root string, args ...string) string {
		out, stderr, status := run(t, append([]string{args[0], "--root", root}, args[1:]...)...)
		require.Zero(t, status, stderr)
		return out
	}
	t.Cleanup(func() { require.NoError(t, removeTree(dir)) })
	box(first, "create", "--name", "kept", "tiny", "sh", "-c", "echo more >>/file; cat /file")
	tool(t, "cp", "-a", first, copied) // before it has run: only root can read the work directory of an overlay
	require.Equal(t, "more\n", box(first, "start", "-a", "kept"))
	require.NoError(t, os.Rename(first, moved))
	for root, prints := range map[string]string{moved: "more\nmore\n", copied: "more\n"} {
		require.Equal(t, prints, box(root, "start", "-a", "kept"))
		_, _, status := run(t, "rmi", "--root", root, "tiny")
		require.NotZero(t, status, "a container needs the image")
		box(root, "rm", "kept")
		box(root, "rmi", "tiny")
	}
	require.NoDirExists(t, first)
}

// The paths of an image's volumes are as dockerd takes them: a relative one begins at /, one written
// twice is one volume, and a colon is part of the path.
func TestVolumesOfAnImage(t *testing.T) {
	s := newStore(t)
	t.Cleanup(func() { require.NoError(t, removeTree(s.Root)) })
	image, err := s.makeTinyImage()
	require.NoError(t, err)
	volumes := func(paths ...string) {
		config := image.Config
		config.Config.Volumes = map[string]struct{}{}
		for _, path := range paths {
			config.Config.Volumes[path] = struct{}{}
		}
		_, err := s.layout().Write(config, image.Blobs, "docker.io/library/volumes:1", nil)
		require.NoError(t, err)
	}
	volumes("rel", "./up/../../b", "/x", "/x/", "/a:ro", "/tmp")
	out, stderr, status := run(t, "run", "--root", s.Root, "--rm", "--tmpfs", "/tmp", "volumes:1", "grep", "-E", " /(rel|b|x|a:ro|tmp) ", "/proc/self/mounts")
	require.Zero(t, status, stderr)
	for _, place := range []string{"/rel", "/b", "/x", "/a:ro", "/tmp"} {
		require.Equal(t, 1, strings.Count(out, " "+place+" "), out)
	}
	left, err := os.ReadDir(filepath.Join(s.Root, "volumes"))
	require.NoError(t, err)
	require.Empty(t, left, "--rm removes them")
	for _, path := range []string{"", "/", "proc/x"} {
		volumes(path)
		_, stderr, status = run(t, "run", "--root", s.Root, "volumes:1", "true")
		require.Equal(t, 125, status)
		require.Regexp(t, fmt.Sprintf(`^box: the image volumes:1, VOLUME "%s": /\S* is reserved: the container has its own there\n$`, path), stderr)
	}
}

// emptyArchive is a tar archive without files.
func emptyArchive(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "empty.tar")
	require.NoError(t, os.WriteFile(path, make([]byte, 1024), 0o600))
	return path
}
