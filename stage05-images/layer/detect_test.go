package layer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOpenTar reads the same files with and without compression, and refuses what is no archive.
func TestOpenTar(t *testing.T) {
	var plain, packed bytes.Buffer
	w := tar.NewWriter(&plain)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: 4}))
	_, err := w.Write([]byte("text"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	zip := gzip.NewWriter(&packed)
	_, err = zip.Write(plain.Bytes())
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	for _, data := range [][]byte{plain.Bytes(), packed.Bytes()} {
		files, err := OpenTar(bytes.NewReader(data))
		require.NoError(t, err)
		read, err := io.ReadAll(files)
		require.NoError(t, err)
		require.NoError(t, files.Close())
		require.Equal(t, plain.Bytes(), read)
	}
	for _, data := range []string{"", "no archive", string(packed.Bytes()[:2])} {
		_, err := OpenTar(bytes.NewReader([]byte(data)))
		require.Error(t, err, "%q", data)
	}
	_, err = OpenTar(bytes.NewReader([]byte("no archive")))
	require.EqualError(t, err, "not a tar archive")
}
