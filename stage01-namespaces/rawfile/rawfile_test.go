package rawfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/rawfile"
)

// Files of all sizes around the buffer's, and those of /proc, which have none, come out as from os.ReadFile.
func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, size := range []int{0, 1, 2047, 2048, 2049, 4096, 100000} {
		text := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		require.NoError(t, os.WriteFile(path, text, 0o600))
		got, err := rawfile.Read(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, got), size)
	}
	for _, begun := range [][]byte{nil, []byte("begun"), make([]byte, 5, 100000)} {
		got, err := rawfile.Append(begun, path)
		require.NoError(t, err)
		require.Equal(t, string(begun), string(got[:len(begun)]))
		require.Len(t, got, len(begun)+100000)
	}
	want, err := exec.Command("cat", "/proc/cpuinfo").Output()
	require.NoError(t, err)
	got, err := rawfile.Read("/proc/cpuinfo")
	require.NoError(t, err)
	require.Equal(t, strings.Count(string(want), "\n"), strings.Count(string(got), "\n"))
}

func TestErrors(t *testing.T) {
	_, err := rawfile.Read("/no/such")
	require.EqualError(t, err, "open /no/such: no such file or directory")
	require.True(t, errors.Is(err, fs.ErrNotExist))
	_, err = rawfile.Read("/")
	require.EqualError(t, err, "read /: is a directory")
}

// Flags and mode are those of open(2), and the descriptor is closed by execve.
func TestOpen(t *testing.T) {
	defer unix.Umask(unix.Umask(0o022))
	path := filepath.Join(t.TempDir(), "file")
	file, err := rawfile.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o666)
	require.NoError(t, err)
	defer file.Close()
	_, err = file.WriteString("text")
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o644), info.Mode())
	require.Equal(t, int64(4), info.Size())
	require.Equal(t, path, file.Name())
	flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.Equal(t, unix.FD_CLOEXEC, flags)
	_, err = rawfile.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o666)
	require.ErrorIs(t, err, fs.ErrExist)
}
