package mountspec

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A file of a directory that is mounted on another is looked for in the directory that hides it.
func TestOpen(t *testing.T) {
	etc := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(etc, "hosts"), nil, 0o644))
	var asked []string
	open := Open([]Spec{{Source: etc, Target: "/etc"}}, func(name string, flags uint64) (int, error) {
		asked = append(asked, name)
		return -1, unix.ENOENT
	})
	fd, err := open("/etc/hosts", unix.O_PATH)
	require.NoError(t, err)
	require.NoError(t, unix.Close(fd))
	_, err = open("/etc/other", unix.O_PATH)
	require.ErrorIs(t, err, unix.ENOENT)
	require.Empty(t, asked)
	_, err = open("/run/hosts", unix.O_PATH)
	require.Error(t, err)
	require.Equal(t, []string{"/run/hosts"}, asked)
}
