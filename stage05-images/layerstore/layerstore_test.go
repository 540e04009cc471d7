package layerstore

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
)

// newDir is a directory of layers beside an empty layout.
func newDir(t *testing.T) Dir {
	dir := t.TempDir()
	d := Dir{Dir: filepath.Join(dir, "layers"), RemoveTree: os.RemoveAll}
	d.Layout = oci.Layout{Dir: filepath.Join(dir, "images"), Warn: func(err error) { require.NoError(t, err) }}
	for _, path := range []string{d.Dir, d.Layout.Dir + "/partial", d.Layout.Dir + "/blobs/sha256"} {
		require.NoError(t, os.MkdirAll(path, 0o755))
	}
	require.NoError(t, d.Layout.Make())
	return d
}

// keep makes a layer of one file.
func keep(t *testing.T, d Dir, name, content string) digest.Digest {
	build, err := d.Build()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(build, name), []byte(content), 0o644))
	require.NoError(t, os.Chmod(build, 0o755))
	for _, path := range []string{filepath.Join(build, name), build} {
		require.NoError(t, os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)))
	}
	sum, err := layer.Pack(io.Discard, build)
	require.NoError(t, err)
	require.NoError(t, d.Keep(build, sum.DiffID))
	return sum.DiffID
}

func imageOf(layers ...digest.Digest) *oci.Image {
	image := &oci.Image{}
	image.Config.RootFS.DiffIDs = layers
	return image
}

func TestKeep(t *testing.T) {
	d := newDir(t)
	diffID := keep(t, d, "file", "text")
	require.True(t, d.Has(diffID))
	require.FileExists(t, d.Path(diffID)+"/file")
	mark := d.Path(diffID) + ".unsynced"
	_, err := os.Lstat(mark)
	require.NoError(t, err, "its files may not be on the disk yet")
	require.NoError(t, d.Sync())
	require.NoFileExists(t, mark)
	require.Equal(t, diffID, keep(t, d, "file", "text"), "another process was faster")
	left, err := os.ReadDir(d.Layout.Dir + "/partial")
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, "layers/"+diffID.Encoded()[:12]+"…", d.Brief(d.Path(diffID)))
	require.Equal(t, "/elsewhere", d.Brief("/elsewhere"))
}

// TestKeepBesideAFile refuses to replace what is no layer, and names it.
func TestKeepBesideAFile(t *testing.T) {
	d := newDir(t)
	diffID := digest.FromString("x")
	require.NoError(t, os.WriteFile(d.Path(diffID), []byte("a file"), 0o644))
	build, err := d.Build()
	require.NoError(t, err)
	require.ErrorContains(t, d.Keep(build, diffID), d.Path(diffID)+" is not a directory: remove it")
	require.NoDirExists(t, build)
	require.False(t, d.Has(diffID))
}

// TestKeepWithOwners holds that the notes on owners come along, and go with a layer that is dropped.
func TestKeepWithOwners(t *testing.T) {
	d := newDir(t)
	for _, kept := range []bool{true, false} {
		build, err := d.Build()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(build+layer.OwnersSuffix, nil, 0o644))
		diffID := digest.FromString("owned")
		if kept {
			require.NoError(t, d.Keep(build, diffID))
			require.FileExists(t, d.Path(diffID)+layer.OwnersSuffix)
		} else {
			require.NoError(t, d.Drop(build))
		}
		require.NoFileExists(t, build+layer.OwnersSuffix)
		require.NoDirExists(t, build)
	}
}

func TestStack(t *testing.T) {
	d := newDir(t)
	lower, upper := keep(t, d, "a", "1"), keep(t, d, "b", "2")
	dirs, err := d.Stack(imageOf(lower, upper, lower))
	require.NoError(t, err)
	require.Equal(t, []string{d.Path(upper), d.Path(lower)}, dirs, "overlay takes a directory once")
	gone := digest.FromString("gone")
	_, err = d.Stack(imageOf(lower, gone))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "layer "+gone.Short()+" of image in the making")
	empty, err := d.Empty()
	require.NoError(t, err)
	entries, err := os.ReadDir(empty[0])
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestRoot: overlay needs a directory, also for an image without layers.
func TestRoot(t *testing.T) {
	d := newDir(t)
	lower := keep(t, d, "a", "1")
	dirs, err := d.Root(imageOf(lower))
	require.NoError(t, err)
	require.Equal(t, []string{d.Path(lower)}, dirs)
	dirs, err = d.Root(imageOf())
	require.NoError(t, err)
	require.Len(t, dirs, 1)
	require.DirExists(t, dirs[0])
	_, err = d.Root(imageOf(digest.FromString("gone")))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestIsHere(t *testing.T) {
	d := newDir(t)
	diffID := keep(t, d, "file", "text")
	require.NoError(t, d.Materialize(diffID))
	config := oci.NewConfig()
	config.RootFS.DiffIDs = []digest.Digest{diffID}
	blob := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: diffID, Size: 1}
	image, err := d.Layout.Write(config, []ocispec.Descriptor{blob}, "", nil)
	require.NoError(t, err)
	require.True(t, d.IsHere(image.Manifest))
	for _, path := range []string{d.Layout.Path(diffID), d.Path(diffID)} {
		require.NoError(t, os.Rename(path, path+"-away"))
		require.False(t, d.IsHere(image.Manifest), path)
		require.NoError(t, os.Rename(path+"-away", path))
	}
	require.NoError(t, d.Layout.Edit(func([]ocispec.Descriptor) ([]ocispec.Descriptor, error) { return nil, nil }))
	require.False(t, d.IsHere(image.Manifest), "nothing says that it was compared")
}

func TestSizeIsCountedOnce(t *testing.T) {
	d := newDir(t)
	diffID := keep(t, d, "file", "12345")
	require.EqualValues(t, 5, d.Size(diffID))
	require.NoError(t, os.WriteFile(d.Path(diffID)+"/more", []byte("6"), 0o644))
	require.EqualValues(t, 5, d.Size(diffID), "a layer does not change: the note counts")
	require.NoError(t, os.Remove(d.Path(diffID)+".json"))
	require.EqualValues(t, 6, d.Size(diffID))
	require.Zero(t, d.Size(digest.FromString("gone")))
}

// TestNotes has several write the same notes at once.
func TestNotes(t *testing.T) {
	d := newDir(t)
	var all sync.WaitGroup
	errs := make([]error, 200)
	for i := range errs {
		all.Go(func() { errs[i] = d.writeNote(d.Dir+"/x.json", i) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}

// TestBlobs asks tar(1) and gzip(1) what the blobs of a layer are.
func TestBlobs(t *testing.T) {
	d := newDir(t)
	diffID := keep(t, d, "file", "text")
	blob, err := d.Compress(diffID)
	require.NoError(t, err)
	require.NotEqual(t, diffID, blob.Digest)
	require.False(t, d.Layout.Has(diffID), "it was packed once more")
	listed, err := exec.Command("tar", "-tzf", d.Layout.Path(blob.Digest)).Output()
	require.NoError(t, err)
	require.Contains(t, strings.Fields(string(listed)), "file")
	again, err := d.Compress(diffID)
	require.NoError(t, err)
	require.Equal(t, blob, again)
	require.NoError(t, d.Layout.Check(blob.Digest))

	require.NoError(t, d.Materialize(diffID))
	tar, err := os.ReadFile(d.Layout.Path(diffID))
	require.NoError(t, err)
	packed, err := os.ReadFile(d.Layout.Path(blob.Digest))
	require.NoError(t, err)
	unzip, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	unpacked, err := io.ReadAll(unzip)
	require.NoError(t, err)
	require.Equal(t, tar, unpacked)

	require.NoError(t, os.Remove(d.Layout.Path(diffID)))
	require.NoError(t, os.WriteFile(d.Path(diffID)+"/file", []byte("else"), 0o644))
	require.Error(t, d.Materialize(diffID), "the layer was changed")
	require.False(t, d.Layout.Has(diffID))
	require.NoError(t, d.Materialize(digest.FromString("gone")), "there is nothing to make it of")
}

func TestCompressed(t *testing.T) {
	d := newDir(t)
	diffID := keep(t, d, "file", "text")
	config := oci.NewConfig()
	config.RootFS.DiffIDs = []digest.Digest{diffID}
	require.NoError(t, d.Materialize(diffID))
	blob := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: diffID, Size: 1}
	image, err := d.Layout.Write(config, []ocispec.Descriptor{blob}, "", nil)
	require.NoError(t, err)
	var begun []digest.Digest
	begin := func(d digest.Digest) { begun = append(begun, d) }
	small, err := d.Compressed(image, "", begin)
	require.NoError(t, err)
	require.Equal(t, image.ID, small.ID)
	require.Equal(t, ocispec.MediaTypeImageLayerGzip, small.Blobs[0].MediaType)
	same, err := d.Compressed(small, "", begin)
	require.NoError(t, err)
	require.Same(t, small, same)
	require.Equal(t, []digest.Digest{diffID}, begun)
}
