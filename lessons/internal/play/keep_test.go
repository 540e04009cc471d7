package play

import (
	"archive/tar"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What tar says of a socket is not part of the archive, and no failure.
func TestPackScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("kept"), 0o600))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	require.NoError(t, err)
	defer l.Close()
	said := filepath.Join(t.TempDir(), "said")
	packed, err := exec.Command("sh", "-c", strings.ReplaceAll(packScript, packErrors, said), dir).Output()
	require.NoError(t, err)
	var names []string
	for r := tar.NewReader(strings.NewReader(string(packed))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names = append(names, h.Name)
	}
	require.Equal(t, []string{"./", "./file"}, names)
	require.Error(t, exec.Command("sh", "-c", strings.ReplaceAll(packScript, packErrors, said), dir+"/none").Run())
	text, err := os.ReadFile(said)
	require.NoError(t, err)
	require.Contains(t, string(text), "none")
}

func TestTooMuchToKeep(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	w := &limited{&out, 10}
	_, err := io.Copy(w, strings.NewReader("0123456789"))
	require.NoError(t, err)
	_, err = io.Copy(w, strings.NewReader("a"))
	require.ErrorIs(t, err, errTooMuch)
	require.Equal(t, "0123456789", out.String())
}
