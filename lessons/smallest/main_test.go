package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage03-rootfs/tiny"
)

// TestMain is the program itself where a test runs it.
func TestMain(m *testing.M) {
	if os.Args[0] == inside || os.Getenv("SMALLEST") != "" {
		main()
		return
	}
	boxtest.Main(m, nil)
}

// smallest runs the program with the arguments given.
func smallest(t *testing.T, args ...string) (string, int) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "SMALLEST=yes")
	out, err := cmd.CombinedOutput()
	if err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError))
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// look prints what a process sees of the system, and how it ends.
const look = `echo $$ $(hostname); for ns in mnt pid uts ipc net; do readlink /proc/self/ns/$ns; done; ls -d /proc/[0-9]*; ls "$0"; exit 7`

func TestContainer(t *testing.T) {
	dir := t.TempDir()
	root, secret := filepath.Join(dir, "root"), filepath.Join(dir, "secret")
	_, err := tiny.Make(root)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(secret, nil, 0o600))

	out, status := smallest(t, root, "sh", "-c", look, secret)
	if os.Geteuid() != 0 {
		require.Equal(t, 1, status)
		require.Equal(t, "smallest: fork/exec /proc/self/exe: operation not permitted\n", out, "lesson 1 says why")
		return
	}
	require.Equal(t, 7, status, out)
	lines := strings.Split(out, "\n")
	require.Equal(t, "1 smallest", lines[0])
	for i, ns := range []string{"mnt", "pid", "uts", "ipc", "net"} {
		ours, err := os.Readlink("/proc/self/ns/" + ns)
		require.NoError(t, err)
		require.Regexp(t, `^`+ns+`:\[\d+\]$`, lines[1+i])
		require.NotEqual(t, ours, lines[1+i])
	}
	require.Equal(t, "/proc/1", lines[6], "its own process is the first it sees")
	require.Contains(t, out, "ls: cannot access '"+secret+"'")

	control, err := exec.Command("sh", "-c", look, secret).Output()
	require.Error(t, err)
	require.Contains(t, string(control), secret, "outside, the file is there")
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), root, "and no mount is left")
}

func TestErrors(t *testing.T) {
	out, status := smallest(t)
	require.Equal(t, 2, status)
	require.Equal(t, "usage: smallest DIR PROGRAM [ARG ...]\n", out)
	if os.Geteuid() == 0 {
		out, status = smallest(t, "/no/such/root", "sh")
		require.Equal(t, 1, status)
		require.Equal(t, "smallest: bind /no/such/root: no such file or directory\n", out)
	}
}
