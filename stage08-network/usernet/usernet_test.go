package usernet

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage08-network/portmap"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func ports(t *testing.T, specs ...string) []portmap.Mapping {
	list, err := portmap.Parse(specs)
	require.NoError(t, err)
	return list
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	_, err := Find(nil, true)
	require.ErrorContains(t, err, "neither is installed")
	_, err = Find(nil, false)
	require.ErrorContains(t, err, "no default route")
	_, err = Find(ports(t, "80"), false)
	require.EqualError(t, err, "--publish 80: an ordinary user names the host's port too: -p 8080:80, for example")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "slirp4netns"), nil, 0o755))
	s, err := Find(nil, true)
	require.NoError(t, err)
	require.Equal(t, "10.0.2.3", s.DNS().String())
	require.Contains(t, strings.Join(s.Command("7", 3), " "), "/slirp4netns --configure")
	require.Contains(t, strings.Join(s.Command("7", 3), " "), "--userns-path=/proc/7/ns/user --ready-fd=3 7 eth0")
	_, err = Find(ports(t, "8080:80"), true)
	require.ErrorContains(t, err, "slirp4netns is installed, which box lets publish nothing")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "pasta"), nil, 0o755))
	s, err = Find(ports(t, "8080:80", "127.0.0.1:8081:81"), true)
	require.NoError(t, err)
	require.Equal(t, "169.254.0.53", s.DNS().String())
	command := strings.Join(s.Command("7", 3), " ")
	require.Contains(t, command, "/pasta --foreground")
	require.Contains(t, command, "--pid /proc/self/fd/3 ")
	require.True(t, strings.HasSuffix(command, " -t 8080:80 -t 127.0.0.1/8081:81 -u none 7"), command)
}

// TestTheProgramEndsWithStop has a shell in its place, which finds its arguments after the script's.
func TestTheProgramEndsWithStop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pasta")
	script := func(text string) *Stack {
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
		return &Stack{Path: path}
	}
	serving := script("echo up >&3; exec sleep 60")
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, serving.Start("1", write))
	said := make([]byte, 3)
	_, err = io.ReadFull(read, said)
	require.NoError(t, err)
	require.Equal(t, "up\n", string(said))
	pid := serving.cmd.Process.Pid
	require.NoError(t, serving.Stop())
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)

	failing := script("echo no namespace >&2; exit 3")
	read, write, err = os.Pipe()
	require.NoError(t, err)
	require.NoError(t, failing.Start("1", write))
	_, err = read.Read(said)
	require.ErrorIs(t, err, io.EOF)
	require.EqualError(t, failing.Fail(), path+": exit status 3: no namespace")
	require.NoError(t, errors.Join(failing.Stop(), read.Close()), "it has ended")
}
