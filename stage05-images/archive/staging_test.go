package archive

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/layerstore"
	"stagebox/stage05-images/oci"
)

// TestKeepIn moves a staged layer and its blob to where they stay; what is not kept is dropped.
func TestKeepIn(t *testing.T) {
	dir := t.TempDir()
	d := layerstore.Dir{Dir: filepath.Join(dir, "layers"), RemoveTree: os.RemoveAll}
	d.Layout = oci.Layout{Dir: filepath.Join(dir, "images"), Warn: func(err error) { require.NoError(t, err) }}
	partial := filepath.Join(d.Layout.Dir, "partial")
	for _, path := range []string{d.Dir, partial, d.Layout.Dir + "/blobs/sha256"} {
		require.NoError(t, os.MkdirAll(path, 0o755))
	}
	staging := Staging{Dir: partial, Limit: layer.LimitFlags{}.OrDefault().Check, Remove: d.Drop}
	kept, err := staging.Add(bytes.NewReader(tarOf(t, "file", "content")))
	require.NoError(t, err)
	_, err = staging.Add(bytes.NewReader(tarOf(t, "other", "content")))
	require.NoError(t, err)
	require.False(t, d.Has(kept.DiffID))
	for range 2 {
		require.NoError(t, kept.KeepIn(d))
		require.True(t, d.Has(kept.DiffID))
		require.NoError(t, d.Layout.Check(kept.Blob.Digest))
	}
	require.NoError(t, staging.Drop())
	left, err := os.ReadDir(partial)
	require.NoError(t, err)
	require.Empty(t, left)
	require.True(t, d.Has(kept.DiffID))
}
