package files_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"stagebox/lessons/boxtest"

	"stagebox/stage04-unionfs/files"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// openTree opens a directory as a handle, until the test ends.
func openTree(t testing.TB, dir string) int {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
	return fd
}

// archiveOf is the tar stream of a directory.
func archiveOf(t testing.TB, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	a := files.NewArchive(&out)
	require.NoError(t, files.Walk(openTree(t, dir), a.Add))
	require.NoError(t, a.Close())
	return out.Bytes()
}

// sh runs a script in a directory, and returns what it prints.
func sh(t testing.TB, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// tools skips a test where the host lacks a program.
func tools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("this host has no %s", name)
		}
	}
}

// manyKinds fills a directory with what a tree can hold; special has what only root can make.
const manyKinds = `
	mkdir -p d/e 'with space'
	echo content > d/file; ln d/file d/second; ln -s ../nowhere d/link
	head -c 300000 /dev/urandom > big; : > empty
	echo x > "$(printf 'new\nline')"; mkfifo pipe
	n=$(printf 'x%.0s' $(seq 120)); mkdir -p "$n/$n"; echo long > "$n/$n/$n"; ln -s "$n/$n/$n" longlink
	echo u > suid; chmod 6755 suid; chmod 1777 'with space'; chmod 700 d/e
	find . -depth -exec touch -h -d '2001-02-03 04:05:06.123456789' {} +
	touch -d @-5 empty`
const special = `
	chown -h 3000000:42 d/file d/link; mknod chr c 1 3; mknod blk b 7 77; chmod 6755 suid
	touch -h -d @1000000000 chr blk`

// listing is what find(1) sees of a tree: everything but the times of its top.
func listing(t testing.TB, dir string) string {
	t.Helper()
	return sh(t, dir, `LC_ALL=C; export LC_ALL
		find . -mindepth 1 \( -type d -printf '%P %y %m %U:%G %T@\n' -o -printf '%P %y %m %U:%G %s %n %l %T@\n' \) | sort
		find . -type f -exec sha256sum {} + | sort`)
}

func TestTarReadsTheArchive(t *testing.T) {
	tools(t, "tar", "find")
	from, to := t.TempDir(), t.TempDir()
	sh(t, from, manyKinds)
	if os.Geteuid() == 0 {
		sh(t, from, special)
	}
	data := archiveOf(t, from)
	cmd := exec.Command("tar", "-xpf", "-", "--numeric-owner", "-C", to)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, listing(t, from), listing(t, to))
	require.True(t, bytes.Equal(data, archiveOf(t, to)), "the same tree elsewhere gives the same bytes")
}

func TestArchiveLeavesSocketsOut(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "socket")}))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	header, err := tar.NewReader(bytes.NewReader(archiveOf(t, dir))).Next()
	require.NoError(t, err)
	require.Equal(t, "file", header.Name)
}

func TestArchiveHoldsPortableXattrsOnly(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	set := func(name, value string) error { return unix.Setxattr(file, name, []byte(value), 0) }
	if err := set("user.note", "a\x00b"); errors.Is(err, unix.ENOTSUP) {
		t.Skip("the file system has no user xattrs")
	}
	require.NoError(t, set("user.overlay.opaque", "y"))
	want := map[string]string{"SCHILY.xattr.user.note": "a\x00b"}
	if os.Geteuid() == 0 {
		require.NoError(t, set("trusted.overlay.redirect", "/etc"))
		// version 3, cap_net_raw, of the user namespace whose root is 1000
		require.NoError(t, set("security.capability", "\x01\x00\x00\x03\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xe8\x03\x00\x00"))
		want["SCHILY.xattr.security.capability"] = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	}
	header, err := tar.NewReader(bytes.NewReader(archiveOf(t, dir))).Next()
	require.NoError(t, err)
	delete(header.PAXRecords, "mtime")
	require.Equal(t, want, header.PAXRecords)
	require.NoError(t, os.Link(file, filepath.Join(dir, "other"))) // a name has none of its own
	names := tar.NewReader(bytes.NewReader(archiveOf(t, dir)))
	_, err = names.Next()
	require.NoError(t, err)
	header, err = names.Next()
	require.NoError(t, err)
	require.Equal(t, "file", header.Linkname)
	delete(header.PAXRecords, "mtime")
	require.Empty(t, header.PAXRecords)
}

// TestWalkFollowsNoLink has a directory and a link to the host change places while the
// tree is read: nothing of the host may come into the archive.
func TestWalkFollowsNoLink(t *testing.T) {
	boxtest.Slow(t)
	outside, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), nil, 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "a"), 0o755))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "b")))
	var swaps atomic.Int32
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				if unix.Renameat2(unix.AT_FDCWD, dir+"/a", unix.AT_FDCWD, dir+"/b", unix.RENAME_EXCHANGE) == nil {
					swaps.Add(1)
				}
			}
		}
	}()
	// Thousands of walks, and thousands of swaps meanwhile: many walks meet one.
	for walks := 0; walks < 5000 || swaps.Load() < 5000; walks++ {
		require.NoError(t, files.Walk(openTree(t, dir), func(name string, fd int) error {
			require.NotContains(t, name, "secret")
			return nil
		}))
	}
	close(stop)
	<-done
	_, err := files.OpenBeneath(openTree(t, dir), "b/secret", unix.O_PATH)
	_, err2 := files.OpenBeneath(openTree(t, dir), "a/secret", unix.O_PATH)
	require.True(t, errors.Is(err, unix.ELOOP) || errors.Is(err2, unix.ELOOP), "%v, %v", err, err2)
}

func TestArchiveOfAFileThatShrinks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(file, make([]byte, 100), 0o644))
	fd, err := unix.Open(file, unix.O_PATH|unix.O_NOFOLLOW, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	header, id, err := files.Describe("log", fd)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(file, 50))
	require.ErrorContains(t, files.NewArchive(io.Discard).Write(header, id, fd), `read "log": it shrank while it was read`)
}

// TestOwnerReadsWhatHeMayNot: in a container root reads a file of mode 0, and so must its
// owner outside, who is nobody special.
func TestOwnerReadsWhatHeMayNot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(dir+"/closed", 0o755))
	require.NoError(t, os.WriteFile(dir+"/closed/shadow", []byte("secret"), 0))
	require.NoError(t, os.Chmod(dir+"/closed", 0))
	data := archiveOf(t, dir)
	require.NoError(t, os.Chmod(dir+"/closed", 0o755))
	reader := tar.NewReader(bytes.NewReader(data))
	for range 2 {
		header, err := reader.Next()
		require.NoError(t, err)
		require.Zero(t, header.Mode)
		require.Zero(t, header.Uid, "the caller is root inside")
	}
	content, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Equal(t, "secret", string(content))
	require.Equal(t, "0\n", sh(t, dir, "stat -c %a closed/shadow"))
}

// TestArchivesShareBuffers: archives that follow each other use the same buffers, and those of two that
// are open at a time are apart. Closing one twice gives its buffers back once.
func TestArchivesShareBuffers(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), bytes.Repeat([]byte("x"), 300000), 0o644))
	want := archiveOf(t, dir)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would empty the pool
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const count = 40
	for range count {
		a := files.NewArchive(io.Discard)
		require.NoError(t, files.Walk(openTree(t, dir), a.Add))
		require.NoError(t, errors.Join(a.Close(), a.Close()))
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(count/2*(1<<20+1<<18)))

	var outs [4]bytes.Buffer
	var open []*files.Archive
	for i := range outs {
		a := files.NewArchive(&outs[i])
		require.NoError(t, files.Walk(openTree(t, dir), a.Add))
		open = append(open, a)
	}
	for i, a := range open {
		require.NoError(t, a.Close())
		require.True(t, bytes.Equal(want, outs[i].Bytes()), i)
	}
}
