package buildcontext

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// open opens a context, whose files may be of any size.
func open(t *testing.T, dir, file string, stdin io.Reader) (*Context, error) {
	a := Archive{Stdin: stdin, Limit: func(int64, int64) error { return nil }, Remove: os.RemoveAll}
	c, err := Open(t.Context(), dir, file, a)
	if err == nil {
		t.Cleanup(func() { require.NoError(t, c.Close()) })
	}
	return c, err
}

// makeDir makes a directory of files.
func makeDir(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		require.NoError(t, os.WriteFile(full, []byte(text), 0o644))
	}
	return dir
}

func TestDockerfilesOfTheContextStayInIt(t *testing.T) {
	outside := makeDir(t, map[string]string{"secret": "FROM secret\n"})
	dir := makeDir(t, map[string]string{"real": "FROM real\n", "sub/Dockerfile": "FROM sub\n", "large": strings.Repeat("#", MaxFile+1), "Dockerfile": "FROM x\n"})
	for name, target := range map[string]string{"out": filepath.Join(outside, "secret"), "up": "../" + filepath.Base(outside) + "/secret", "in": "sub/../real"} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for file, want := range map[string]string{
		"":                               "FROM x\n",
		"in":                             "FROM real\n",
		"sub/Dockerfile":                 "FROM sub\n",
		filepath.Join(dir, "real"):       "FROM real\n",
		filepath.Join(outside, "secret"): "FROM secret\n", // the caller's own
	} {
		c, err := open(t, dir, file, nil)
		require.NoError(t, err, file)
		require.Equal(t, want, string(c.Dockerfile), file)
	}
	for file, says := range map[string]string{
		"out": "path escapes", "up": "path escapes", "fifo": "not a regular file", "sub": "not a regular file",
		"large": "larger than 1 MiB", "none": "there is no Dockerfile", "/dev/zero": "not a regular file",
	} {
		_, err := open(t, dir, file, nil)
		require.ErrorContains(t, err, says, file)
		require.NotContains(t, err.Error(), "secret\n")
	}
}

func TestIgnoreFileBesideTheDockerfileGoesFirst(t *testing.T) {
	dir := makeDir(t, map[string]string{"Dockerfile": "", "x/Dockerfile": ""})
	hides := func(file, name string) bool {
		c, err := open(t, dir, file, strings.NewReader(""))
		require.NoError(t, err)
		ignored, _, err := c.Ignore.Ignores(name, false)
		require.NoError(t, err)
		return ignored
	}
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	require.False(t, hides("-", "a"))
	write(".dockerignore", "a\n")
	require.True(t, hides("-", "a"))
	require.True(t, hides("", "a"))
	write("Dockerfile.dockerignore", "b\n")
	require.False(t, hides("", "a"))
	require.True(t, hides("", "b"))
	require.True(t, hides(filepath.Join(dir, "x/Dockerfile"), "a"))
}

func TestContextIsADirectory(t *testing.T) {
	dir := makeDir(t, map[string]string{"file": ""})
	for name, says := range map[string]string{"none": "no such directory", "file": "not a directory: give the directory that the file is in, and the file with -f"} {
		_, err := open(t, filepath.Join(dir, name), "", strings.NewReader(""))
		require.EqualError(t, err, "build context "+filepath.Join(dir, name)+": "+says)
	}
	for name, says := range map[string]string{"": "its name is empty: . is the current directory", "https://x.example/y.git": "a context is not fetched: ", "git@x.example:y": "a context is not fetched: "} {
		_, err := open(t, name, "", strings.NewReader(""))
		require.ErrorContains(t, err, says)
	}
}

// TestMissingDockerfile: the error says what the path is relative to, if one was given.
func TestMissingDockerfile(t *testing.T) {
	dir := makeDir(t, map[string]string{"file": ""})
	archive, err := exec.Command("tar", "-C", dir, "-c", "file").Output()
	require.NoError(t, err)
	for _, c := range []struct{ dir, file, says string }{
		{dir, "", "there is no Dockerfile: openat Dockerfile: no such file or directory; -f names another file"},
		{dir, "none", "there is no Dockerfile: open none: no such file or directory; the path of -f is relative to the current directory, or else to the context"},
		{dir, filepath.Join(dir, "none"), "there is no Dockerfile: openat none: no such file or directory"},
		{dir, "/no/such", "there is no Dockerfile: open /no/such: no such file or directory"},
		{"-", "none", "there is no Dockerfile: openat none: no such file or directory; the path of -f is relative to the archive"},
	} {
		_, err := open(t, c.dir, c.file, bytes.NewReader(archive))
		require.EqualError(t, err, c.says)
	}
}

func TestIgnoreFilesAreSmallAndInside(t *testing.T) {
	for name, file := range map[string]string{".dockerignore": "-", "Dockerfile.dockerignore": "Dockerfile"} {
		for says, make := range map[string]func(path string) error{
			"path escapes":       func(path string) error { return os.Symlink("/etc/hostname", path) },
			"not a regular file": func(path string) error { return unix.Mkfifo(path, 0o600) },
			"larger than 1 MiB":  func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("x"), MaxFile+1), 0o644) },
		} {
			dir := makeDir(t, map[string]string{"Dockerfile": "FROM x\n"})
			require.NoError(t, make(filepath.Join(dir, name)))
			_, err := open(t, dir, file, strings.NewReader("FROM x\n"))
			require.ErrorContains(t, err, says, name)
		}
	}
}

// A program that writes to the standard input may never end.
func TestWaitingEndsWithTheBuild(t *testing.T) {
	for _, args := range [][2]string{{"-", ""}, {t.TempDir(), "-"}} {
		ctx, stop := context.WithCancel(t.Context())
		in, out := io.Pipe()
		go func() {
			_, err := io.WriteString(out, "FROM x\n")
			stop() // while the rest is waited for
			require.NoError(t, err)
		}()
		_, err := Open(ctx, args[0], args[1], Archive{Stdin: in, Remove: os.RemoveAll})
		require.ErrorContains(t, err, "interrupted")
		require.NoError(t, in.Close())
	}
}

func TestReaderReadsAll(t *testing.T) {
	text := strings.Repeat("0123456789", 1<<17)
	got, err := io.ReadAll(Reader(t.Context(), strings.NewReader(text)))
	require.NoError(t, err)
	require.Equal(t, text, string(got))
	failing := errors.New("the disk")
	_, err = io.ReadAll(Reader(t.Context(), io.MultiReader(strings.NewReader("x"), &broken{failing})))
	require.ErrorIs(t, err, failing)
}

type broken struct{ error }

func (b *broken) Read([]byte) (int, error) { return 0, b.error }

// archiveOf is a tar archive of empty files of these kinds.
func archiveOf(t *testing.T, kinds map[string]byte) io.Reader {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, kind := range kinds {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: kind, Mode: 0o644, Devmajor: 1, Devminor: 3}))
	}
	require.NoError(t, w.Close())
	return &out
}

func TestArchivesAreNoLayers(t *testing.T) {
	c, err := open(t, "-", "", archiveOf(t, map[string]byte{"Dockerfile": tar.TypeReg, ".wh.x": tar.TypeReg, "d/.wh..wh..opq": tar.TypeReg, "f": tar.TypeFifo}))
	require.NoError(t, err)
	for _, name := range []string{".wh.x", "d/.wh..wh..opq"} {
		info, err := os.Lstat(filepath.Join(c.Dir, name))
		require.NoError(t, err)
		require.True(t, info.Mode().IsRegular(), name)
	}
	require.NoFileExists(t, filepath.Join(c.Dir, "x"))
	for _, kind := range []byte{tar.TypeChar, tar.TypeBlock} {
		_, err := open(t, "-", "", archiveOf(t, map[string]byte{"null": kind}))
		require.ErrorContains(t, err, "it is a device")
	}
}

func TestNewestFileOfAnArchive(t *testing.T) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, seconds := range map[string]int64{"Dockerfile": 5, "f": 7, "d/": 9} {
		kind := map[bool]byte{true: tar.TypeDir, false: tar.TypeReg}[strings.HasSuffix(name, "/")]
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: kind, Mode: 0o755, ModTime: time.Unix(seconds, 0)}))
	}
	require.NoError(t, w.Close())
	c, err := open(t, "-", "", &out)
	require.NoError(t, err)
	at, err := c.Newest()
	require.NoError(t, err)
	require.EqualValues(t, 7, at.Unix(), "a directory's time does not count")

	c, err = open(t, makeDir(t, map[string]string{"Dockerfile": "FROM scratch"}), "", nil)
	require.NoError(t, err)
	at, err = c.Newest()
	require.NoError(t, err)
	require.Nil(t, at, "a directory's files have the times of a checkout")
}

func TestPipesOfTheCaller(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, []byte("hidden"), 0) }()
	data, err := ReadFile(t.Context(), pipe)
	require.NoError(t, err)
	require.NoError(t, <-written)
	require.Equal(t, "hidden", string(data))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err = ReadFile(ctx, pipe) // that no program opens
	require.ErrorIs(t, err, errInterrupted)
	end, err := os.OpenFile(pipe, os.O_WRONLY, 0) // so that the reader ends too
	require.NoError(t, err)
	require.NoError(t, end.Close())
}
