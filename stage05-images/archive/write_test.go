package archive

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/layerstore"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
)

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blob")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o644))
	w := NewWriter(&bytes.Buffer{})
	require.NoError(t, w.File(digest.FromString("content"), path))
	require.ErrorIs(t, w.File(digest.FromString("other"), path), ErrDamaged)
	require.ErrorIs(t, w.File(digest.FromString("none"), path+"-gone"), os.ErrNotExist)
}

// TestTypesOfLayers: a reader of manifest.json that would take the first layer's type for all is told
// that of each.
func TestTypesOfLayers(t *testing.T) {
	const gzip, none, zstd = ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerZstd
	const docker = "application/vnd.docker.image.rootfs.diff.tar"
	for _, c := range []struct{ types, told []string }{
		{nil, nil}, {[]string{gzip, gzip}, nil}, {[]string{none, none}, nil}, {[]string{zstd, none}, nil},
		{[]string{gzip, none}, []string{docker + ".gzip", docker}}, {[]string{none, gzip}, []string{docker, docker + ".gzip"}},
	} {
		var layers []ocispec.Descriptor
		var ids []digest.Digest
		for i, kind := range c.types {
			layers = append(layers, ocispec.Descriptor{MediaType: kind, Digest: digest.FromString(kind), Size: int64(i)})
			ids = append(ids, digest.FromString(fmt.Sprint("diff id ", i)))
		}
		var out bytes.Buffer
		w := NewWriter(&out)
		w.Image(ocispec.Descriptor{}, digest.FromString("config"), layers, ids, nil)
		require.NoError(t, w.Close())
		a, err := Read(&out, keepNothing)
		require.NoError(t, err)
		var list []struct {
			LayerSources map[digest.Digest]ocispec.Descriptor
		}
		found, err := a.object("manifest.json", &list)
		require.NoError(t, err)
		require.True(t, found)
		require.Len(t, list[0].LayerSources, len(c.told), c.types)
		for i, kind := range c.told {
			want := ocispec.Descriptor{MediaType: kind, Digest: layers[i].Digest, Size: layers[i].Size}
			require.Equal(t, want, list[0].LayerSources[ids[i]])
		}
	}
}

// TestTake: a layer of this machine becomes a blob when it is wanted, and a damaged blob says what to do.
func TestTake(t *testing.T) {
	dir := t.TempDir()
	d := layerstore.Dir{Dir: filepath.Join(dir, "layers"), RemoveTree: os.RemoveAll}
	d.Layout = oci.Layout{Dir: filepath.Join(dir, "images"), Warn: func(err error) { require.NoError(t, err) }}
	for _, path := range []string{d.Dir, d.Layout.Dir + "/partial", d.Layout.Dir + "/blobs/sha256"} {
		require.NoError(t, os.MkdirAll(path, 0o755))
	}
	require.NoError(t, d.Layout.Make())
	build, err := d.Build()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(build, "file"), []byte("text"), 0o644))
	require.NoError(t, os.Chmod(build, 0o755))
	sum, err := layer.Pack(io.Discard, build)
	require.NoError(t, err)
	require.NoError(t, d.Keep(build, sum.DiffID))

	var out bytes.Buffer
	w := NewWriter(&out)
	require.False(t, d.Layout.Has(sum.DiffID))
	require.NoError(t, w.Take(d, sum.DiffID))
	require.NoError(t, w.Close())
	require.Contains(t, out.String(), blobName(sum.DiffID))

	require.NoError(t, os.WriteFile(d.Layout.Path(sum.DiffID), []byte("else"), 0o644))
	err = NewWriter(io.Discard).Take(d, sum.DiffID)
	require.EqualError(t, err, d.Layout.Damaged(sum.DiffID).Error())
	require.ErrorIs(t, NewWriter(io.Discard).Take(d, digest.FromString("gone")), os.ErrNotExist)
}
