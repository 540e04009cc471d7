package volume

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadAndCheck(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "v", "_data")
	require.NoError(t, os.MkdirAll(data, 0o755))
	v, err := Read(dir, "v")
	require.NoError(t, err)
	require.Equal(t, data, v.Mountpoint)
	require.Empty(t, v.Labels)
	require.NoError(t, Check(dir, "v"))

	labels := filepath.Join(dir, "v", "labels.json")
	require.NoError(t, os.WriteFile(labels, []byte(`{"a":"b"}`), 0o644))
	v, err = Read(dir, "v")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "b"}, v.Labels)

	for _, name := range []string{"none", "..", "", "v/_data"} {
		_, err := Read(dir, name)
		require.ErrorIs(t, err, fs.ErrNotExist, name)
	}
	require.NoError(t, os.WriteFile(labels, []byte("{"), 0o644))
	_, err = Read(dir, "v")
	require.ErrorContains(t, err, "labels.json")

	require.NoError(t, os.Remove(data))
	require.NoError(t, os.WriteFile(data, nil, 0o644))
	require.ErrorContains(t, Check(dir, "v"), "restore it, or remove the volume: box volume rm v")
}
