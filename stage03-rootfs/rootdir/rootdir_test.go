package rootdir

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	_, err := Check(filepath.Join(dir, "none"))
	require.ErrorContains(t, err, "there is no such directory; box rootfs "+dir+"/none makes")
	require.ErrorContains(t, RefuseEmpty(dir), "it is empty")
	_, err = Check(dir)
	require.NoError(t, err, "an image's layer may be")

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err = Check(file)
	require.ErrorContains(t, err, "it is a file")
	require.NoError(t, RefuseEmpty(dir))
	require.NoError(t, RefuseEmpty(""))

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	real, err := Check(link)
	require.NoError(t, err)
	require.Equal(t, dir, real)
}

// No link leads out of a root: the same path means a file of the host's, and another one inside.
func TestOpenStaysInside(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("inside"), 0o644))
	for name, target := range map[string]string{"absolute": "/etc/passwd", "relative": "../../../../etc/passwd"} {
		require.NoError(t, os.Symlink(target, filepath.Join(root, name)))
		fd, err := Open(root, name, unix.O_RDONLY)
		require.NoError(t, err, name)
		data := make([]byte, 100)
		n, err := unix.Read(fd, data)
		require.NoError(t, err)
		require.Equal(t, "inside", string(data[:n]), name)
		require.NoError(t, unix.Close(fd))
	}
	_, err := Open("/", "/proc/self/exe", unix.O_PATH)
	require.ErrorIs(t, err, unix.ELOOP, "a magic link")
}

func TestTarget(t *testing.T) {
	root := t.TempDir()
	open := func(name string, flags uint64) (int, error) { return Open(root, name, flags) }
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/there"), nil, 0o644))
	for name, target := range map[string]string{"to-there": "there", "relative": "../run/none", "absolute": "/run//none"} {
		require.NoError(t, os.Symlink(target, filepath.Join(root, "etc", name)))
	}
	for name, want := range map[string]string{"/etc/there": "/etc/there", "/etc/missing": "/etc/missing",
		"/etc/to-there": "/etc/to-there", "/etc/relative": "/run/none", "/etc/absolute": "/run/none"} {
		require.Equal(t, want, Target(name, open), name)
	}
}

func TestCheckWorkdir(t *testing.T) {
	require.ErrorContains(t, CheckWorkdir("tmp"), "--workdir tmp: it must be an absolute path")
	require.NoError(t, CheckWorkdir("/tmp/"))
}

func TestMode(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "run"), 0o700))
	require.NoError(t, os.Chmod(filepath.Join(root, "run"), 0o710|os.ModeSticky))
	require.NoError(t, os.Symlink("/run", filepath.Join(root, "link")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o600))
	open := func(name string, flags uint64) (int, error) { return Open(root, name, flags) }
	for name, mode := range map[string]string{"/run": "1710", "/link": "1710", "/file": "1777", "/none": "1777"} {
		require.Equal(t, mode, Mode(name, open), name)
	}
}
