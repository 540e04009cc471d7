package main

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

// TestCopyOwners: files keep their numbers in the container, and with -a those that come out.
func TestCopyOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user has one owner only")
	}
	l, dir := newLife(t), t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o640))
	require.NoError(t, os.Chown(file, 1234, 1235))
	l.box("run", "--rootfs", l.tiny, "--name", "one", "true")
	l.box("cp", file, "one:/tmp/in")
	l.box("cp", "one:/tmp/in", dir+"/mine")
	l.box("cp", "-a", "one:/tmp/in", dir+"/same")
	header, err := tar.NewReader(strings.NewReader(l.box("cp", "one:/tmp/in", "-"))).Next()
	require.NoError(t, err)
	require.Equal(t, []int{1234, 1235}, []int{header.Uid, header.Gid})
	for name, owner := range map[string]uint32{"mine": 0, "same": 1234} {
		var st unix.Stat_t
		require.NoError(t, unix.Stat(filepath.Join(dir, name), &st))
		require.Equal(t, owner, st.Uid, name)
	}
}

// TestCopyOntoAMount: the file of a mount is written to, and stays mounted, which it would not if
// box replaced it; nothing is written to a mount that is read-only.
func TestCopyOntoAMount(t *testing.T) {
	boxtest.Turn(t, 2, 5)
	l, dir := newLife(t), t.TempDir()
	for _, name := range []string{"new", "file", "fixed"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name+"\n"), 0o666))
	}
	for _, command := range [][]string{{"true"}, {"sleep", l.mark}} {
		args := []string{"run", "-d", "--rootfs", l.tiny, "--name", "one", "-v", dir + "/file:/file", "-v", dir + "/fixed:/fixed:ro"}
		l.box(append(args, command...)...)
		if command[0] == "true" {
			l.box("wait", "one")
		}
		require.NoError(t, os.WriteFile(dir+"/file", []byte("old\n"), 0o666))
		l.box("cp", dir+"/new", "one:/file")
		data, err := os.ReadFile(dir + "/file")
		require.NoError(t, err)
		require.Equal(t, "new\n", string(data), command)
		refusal, err := l.command("cp", dir+"/new", "one:/fixed").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(refusal), "read-only file system")
		if command[0] == "sleep" {
			require.Equal(t, "new", l.box("exec", "one", "cat", "/file"))
			require.Equal(t, "fixed", l.box("exec", "one", "cat", "/fixed"))
		}
		l.box("rm", "-f", "one")
	}
}

// TestCopyLeavesNoMount: once cp is done with a container that does not run, no thread of the process
// is in another mount namespace, the first one neither, and no descriptor keeps a mount alive.
func TestCopyLeavesNoMount(t *testing.T) {
	boxtest.Turn(t, 0, 5)
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user's cp runs in a process of its own")
	}
	l, dir := newLife(t), t.TempDir()
	l.box("run", "--rootfs", l.tiny, "--name", "one", "-v", dir+":/data", "true")
	s := Store{Root: l.store}
	look := func() (namespaces map[string]bool, files int) {
		namespaces = map[string]bool{}
		tasks, err := filepath.Glob("/proc/self/task/*/ns/mnt")
		require.NoError(t, err)
		for _, task := range tasks {
			if link, err := os.Readlink(task); err == nil {
				namespaces[link] = true
			}
		}
		open, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return namespaces, len(open)
	}
	before, open := look()
	require.Len(t, before, 1)
	for range 20 {
		root, done, err := s.view("one")
		require.NoError(t, err)
		inside, _ := look()
		require.Len(t, inside, 2, "this check would not see anything")
		require.NoError(t, unix.Faccessat(root, "data", unix.F_OK, 0))
		require.NoError(t, done())
		now, left := look()
		require.Equal(t, before, now)
		require.Equal(t, open, left)
	}
}
