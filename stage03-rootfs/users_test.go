package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// rootWith makes a container whose root has some files in etc.
func rootWith(t testing.TB, files map[string]string) *Container {
	c := &Container{}
	c.Rootfs = t.TempDir()
	root := c.Rootfs
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(root, "etc", name), []byte(content), 0o644))
	}
	return c
}

func TestAHostilePasswdIsNotRead(t *testing.T) {
	root := rootWith(t, nil)
	passwd := filepath.Join(root.Rootfs, "etc/passwd")
	require.NoError(t, os.Mkdir(passwd, 0o755))
	require.ErrorContains(t, (&identity{}).find(root.readInside, "app"), "is not a file")
	require.NoError(t, os.Remove(passwd))
	if os.Geteuid() == 0 { // only root makes devices; to open one that is nowhere is an error of its own (ENXIO)
		require.NoError(t, unix.Mknod(passwd, unix.S_IFCHR|0o644, int(unix.Mkdev(240, 99))))
		require.ErrorContains(t, (&identity{}).find(root.readInside, "app"), "is not a file")
		require.NoError(t, os.Remove(passwd))
	}
	require.NoError(t, os.Symlink("/etc/shadow-of-the-host", passwd))
	require.ErrorContains(t, (&identity{}).find(root.readInside, "app"), "no such user in the container's /etc/passwd")
	require.NoError(t, os.Remove(passwd))
	require.NoError(t, os.WriteFile(passwd, nil, 0o644))
	require.NoError(t, os.Truncate(passwd, 1<<20+1))
	require.ErrorContains(t, (&identity{}).find(root.readInside, "app"), "of up to 1048576 bytes")
}

func TestWorkdirThatIsACircle(t *testing.T) {
	root := newTiny(t)
	require.NoError(t, os.Symlink("circle", filepath.Join(root, "circle")))
	_, stderr, status := run(t, "run", "--rootfs", root, "-w", "/circle", "true")
	require.Equal(t, 125, status)
	require.Contains(t, stderr, "too many levels of symbolic links\n     its links lead in a circle, or through one of /proc to an open file")
}
