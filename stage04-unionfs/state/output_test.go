package state_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/state"
)

// say writes a word as a command's output.
func say(name, word string) error {
	return state.Output(name, state.Durable, func(out *os.File) error {
		_, err := io.WriteString(out, word)
		return err
	})
}

// tangle makes files and links to them, and returns the path of a name among them.
func tangle(t *testing.T) func(name string) string {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.MkdirAll(in("far/deep"), 0o755))
	for link, to := range map[string]string{
		"one": "two", "two": "far/file", "far/missing": "../new", "loop": "loop", "null": "/dev/null",
		"dir": "far", "far/deep/up": "../file", "near": "far/deep", "out": "/dev/stdout", "lost": "/no/such/dir/file",
	} {
		require.NoError(t, os.Symlink(to, in(link)))
	}
	require.NoError(t, os.WriteFile(in("far/file"), []byte("old"), 0o600))
	return in
}

// A regular file is replaced where it is, and keeps its mode; links stay links.
func TestOutputFollowsLinks(t *testing.T) {
	defer unix.Umask(unix.Umask(0o027))
	in := tangle(t)
	for _, name := range []string{"far/file", "one", "two", "far/deep/up", "near/up", "far/missing"} {
		require.NoError(t, state.CheckOutput(in(name)))
		require.NoError(t, say(in(name), name))
		if name != "far/file" && name != "near/up" {
			require.Equal(t, fs(t, in(name)).Mode().Type(), os.ModeSymlink)
		}
		require.Equal(t, name, contentOf(t, in(name)))
	}
	require.Equal(t, os.FileMode(0o600), fs(t, in("far/file")).Mode())
	require.Equal(t, os.FileMode(0o640), fs(t, in("new")).Mode())
	t.Chdir(in("far"))
	require.NoError(t, say("plain", "here"))
	require.Equal(t, "here", contentOf(t, in("far/plain")))
	require.Equal(t, []string{"deep", "file", "missing", "plain"}, namesIn(t, in("far")))
	path, err := state.OutputPath(in("one"))
	require.NoError(t, err)
	require.Equal(t, in("far/file"), path)
}

func fs(t *testing.T, name string) os.FileInfo {
	info, err := os.Lstat(name)
	require.NoError(t, err)
	return info
}

// What fails half-way leaves the old file, and nothing beside it.
func TestOutputAllOrNothing(t *testing.T) {
	in := tangle(t)
	broken := errors.New("broken")
	err := state.Output(in("one"), state.Volatile, func(out *os.File) error {
		_, err := io.WriteString(out, "half")
		return errors.Join(err, broken)
	})
	require.ErrorIs(t, err, broken)
	require.Equal(t, "old", contentOf(t, in("far/file")))
	require.Equal(t, []string{"deep", "file", "missing"}, namesIn(t, in("far")))
}

// A device, a directory or a socket is refused before anything is written, and stays.
func TestOutputRefuses(t *testing.T) {
	in := tangle(t)
	l, err := net.Listen("unix", in("socket"))
	require.NoError(t, err)
	defer l.Close()
	for name, cause := range map[string]string{
		"dir": "it is a directory; give a regular file, a FIFO, or - for standard output", "null": "it is a device; ",
		"socket": "it is a socket; ", "loop": "too many levels of symbolic links", "lost": "no such file or directory",
	} {
		require.ErrorContains(t, state.CheckOutput(in(name)), cause)
		err := state.Output(in(name), state.Durable, func(*os.File) error { panic("written") })
		require.ErrorContains(t, err, cause)
		_, err = state.OutputPath(in(name))
		require.Equal(t, name == "lost", err == nil, name)
	}
	require.NotZero(t, fs(t, in("socket")).Mode()&os.ModeSocket)
	require.NotZero(t, fs(t, "/dev/null").Mode()&os.ModeDevice)
}

// A FIFO and a descriptor are written to as they are.
func TestOutputToAStream(t *testing.T) {
	in := tangle(t)
	require.NoError(t, unix.Mkfifo(in("fifo"), 0o600))
	reader, err := os.OpenFile(in("fifo"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer reader.Close()
	require.NoError(t, say(in("fifo"), "piped\n"))
	line, err := bufio.NewReader(reader).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "piped\n", line)
	require.NotZero(t, fs(t, in("fifo")).Mode()&os.ModeNamedPipe)

	log, err := os.Create(in("log"))
	require.NoError(t, err)
	defer log.Close()
	for _, dir := range []string{"/dev", "/proc/self"} {
		require.NoError(t, say(fmt.Sprintf("%s/fd/%d", dir, log.Fd()), "more "))
	}
	require.Equal(t, "more more ", contentOf(t, in("log")), "appended at the caller's position")
	require.ErrorContains(t, say("/dev/fd/987654", ""), "bad file descriptor")
}

// Every name of standard output is written to; nothing of that name is made.
func TestOutputToStdout(t *testing.T) {
	in := tangle(t)
	t.Chdir(in("far"))
	for _, name := range []string{"", "-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", in("out")} {
		require.True(t, state.IsStdout(name), name)
		stdout := os.Stdout
		reader, writer, err := os.Pipe()
		require.NoError(t, err)
		os.Stdout = writer
		err = errors.Join(say(name, "shown"), writer.Close())
		os.Stdout = stdout
		require.NoError(t, err)
		text, err := io.ReadAll(reader)
		require.NoError(t, errors.Join(err, reader.Close()))
		require.Equal(t, "shown", string(text), name)
	}
	require.Equal(t, []string{"deep", "file", "missing"}, namesIn(t, in("far")))
	require.False(t, state.IsStdout(in("far/file")))
	require.False(t, state.IsStdout("/dev/stderr"))
}

func TestOutputInNoDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nosuch")
	err := state.Output(dir+"/file", state.Volatile, func(*os.File) error { panic("there is nothing to write to") })
	require.EqualError(t, err, fmt.Sprintf("output file %q: make a file in %s: no such file or directory", dir+"/file", dir))
}

// The umask of a new file is found without setting another one: goroutines that make files meanwhile
// would make them for everyone.
func TestOutputLeavesTheUmaskAlone(t *testing.T) {
	dir := t.TempDir()
	defer unix.Umask(unix.Umask(0o077))
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for i := range 5_000 {
			state.CheckOutput(filepath.Join(dir, fmt.Sprint("none", i%10)))
		}
	}()
	for i := 0; ; i++ {
		select {
		case <-ended:
			return
		default:
		}
		name := filepath.Join(dir, fmt.Sprint("file", i%10))
		require.NoError(t, os.RemoveAll(name))
		require.NoError(t, os.WriteFile(name, nil, 0o666))
		require.EqualValues(t, 0o600, fs(t, name).Mode())
	}

}
