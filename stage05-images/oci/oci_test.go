package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

// newLayout is an empty one, and its warnings.
func newLayout(t *testing.T) (l Layout, warnings *[]error) {
	warnings = new([]error)
	l = Layout{Dir: t.TempDir(), Warn: func(err error) { *warnings = append(*warnings, err) }}
	for _, dir := range []string{"partial", "blobs/sha256"} {
		require.NoError(t, os.MkdirAll(filepath.Join(l.Dir, dir), 0o755))
	}
	require.False(t, l.IsMade())
	require.NoError(t, os.WriteFile(filepath.Join(l.Dir, "oci-layout"), []byte(`{"imageLayoutVersion":"2.0.0"}`), 0o644))
	require.False(t, l.IsMade(), "a version that is not known")
	require.NoError(t, os.Remove(filepath.Join(l.Dir, "oci-layout")))
	require.NoError(t, l.Make())
	require.True(t, l.IsMade())
	return l, warnings
}

// write makes an image of one layer, which differs by its author.
func write(t *testing.T, l Layout, author, name string) *Image {
	layer, err := l.Put(ocispec.MediaTypeImageLayer, []byte("layer of "+author))
	require.NoError(t, err)
	config := NewConfig()
	config.Author, config.RootFS.DiffIDs = author, []digest.Digest{layer.Digest}
	image, err := l.Write(config, []ocispec.Descriptor{layer}, name, map[string]string{"note": author})
	require.NoError(t, err)
	return image
}

func full(t *testing.T, name string) string {
	ref, err := registry.ParseReference(name)
	require.NoError(t, err)
	return ref.String()
}

func TestNamesMoveFromImageToImage(t *testing.T) {
	l, _ := newLayout(t)
	first := write(t, l, "first", full(t, "app:1"))
	require.NoError(t, l.Tag(first.Manifest, full(t, "app:2")))
	second := write(t, l, "second", full(t, "app:1"))
	for name, want := range map[string]*Image{"app:1": second, "app:2": first, first.ID.String(): first, second.ID.Encoded()[:12]: second} {
		got, err := l.Find(name)
		require.NoError(t, err, name)
		require.Equal(t, want.ID, got.ID, name)
	}
	require.NoError(t, l.Untag(first.Manifest.Digest, []string{full(t, "app:2")}))
	require.False(t, l.Lists(first.Manifest))
	for _, name := range []string{"app:2", "none", first.ID.String()} {
		_, err := l.Find(name)
		require.ErrorIs(t, err, ErrNoImage, name)
	}
	third := write(t, l, "third", full(t, "app:1")) // takes the last name of the second
	all, err := l.Images()
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, [][2]string{{"<none>", "<none>"}}, all[0].Familiar())
	require.Equal(t, second.ID, all[0].ID)
	require.Equal(t, [][2]string{{"app", "1"}}, all[1].Familiar())
	require.Equal(t, third.ID, all[1].ID)
}

func TestWhereARegistryHasAnImage(t *testing.T) {
	l, _ := newLayout(t)
	image := write(t, l, "x", "")
	ref, err := registry.ParseReference("h:5/app:1")
	require.NoError(t, err)
	origin := digest.FromString("index")
	require.NoError(t, l.Tag(WithOrigin(image.Manifest, ref, origin), ref.String()))
	got, err := l.Find("h:5/app@" + origin.String())
	require.NoError(t, err)
	require.Equal(t, []string{"h:5/app@" + origin.String()}, got.Origins)
	require.Empty(t, l.OtherRepository(image.Manifest.Digest, ref))
	ref.Repository = "other"
	require.Equal(t, "app", l.OtherRepository(image.Manifest.Digest, ref))
	require.Equal(t, "h:5/app:1", l.Tagged("h:5/app:1").String())
	require.Nil(t, l.Tagged("h:5/app:2"))
	require.Nil(t, l.Tagged("h:5/app@"+origin.String()))
}

// TestDamage changes a byte of each blob of an image.
func TestDamage(t *testing.T) {
	l, warnings := newLayout(t)
	image := write(t, l, "x", full(t, "app:1"))
	write(t, l, "y", full(t, "app:2"))
	var out bytes.Buffer
	require.NoError(t, l.Check(image.Blobs[0].Digest, &out))
	require.Equal(t, "layer of x", out.String())
	require.NoError(t, os.WriteFile(l.Path(image.Blobs[0].Digest), []byte("layer of X"), 0o644))
	require.ErrorContains(t, l.Check(image.Blobs[0].Digest), "is damaged: remove "+l.Path(image.Blobs[0].Digest))
	require.NoError(t, os.WriteFile(l.Path(image.ID), []byte("{}"), 0o644))
	_, err := l.Find("app:1")
	require.ErrorContains(t, err, "is damaged")
	all, err := l.Images()
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Len(t, *warnings, 1)
	found, err := l.RemoveDamaged("app:2")
	require.NoError(t, err)
	require.False(t, found, "it can be read")
	found, err = l.RemoveDamaged("app:1")
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, os.WriteFile(l.indexFile(), []byte(`{"schemaVersion": 1}`), 0o644))
	_, err = l.Index()
	require.ErrorContains(t, err, "the list of images is damaged")
	require.NoError(t, os.Remove(l.indexFile()))
	_, err = l.Index()
	require.ErrorIs(t, err, os.ErrNotExist, "oci-layout is there, so it was lost")
}

// TestReplaceKeepsTheID gives an image another blob, and Docker's media types to a manifest.
func TestReplaceKeepsTheID(t *testing.T) {
	l, _ := newLayout(t)
	image := write(t, l, "x", full(t, "app:1"))
	zipped, err := l.Put(ocispec.MediaTypeImageLayerGzip, []byte("zipped"))
	require.NoError(t, err)
	again, err := l.Replace(image, []ocispec.Descriptor{zipped}, full(t, "app:1"))
	require.NoError(t, err)
	require.Equal(t, image.ID, again.ID)
	require.NotEqual(t, image.Manifest.Digest, again.Manifest.Digest)
	var m ocispec.Manifest
	require.NoError(t, l.ReadJSON(again.Manifest.Digest, &m))
	require.Equal(t, "x", m.Annotations["note"])
	m.Layers[0].MediaType = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	d, err := l.PutManifest(ocispec.Descriptor{MediaType: "application/vnd.docker.distribution.manifest.v2+json"}, nil, m)
	require.NoError(t, err)
	data, err := l.Read(d.Digest)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &m))
	require.Equal(t, ocispec.MediaTypeImageLayerGzip, m.Layers[0].MediaType)
}

func TestPlatforms(t *testing.T) {
	var warnings []error
	warn := func(err error) { warnings = append(warnings, err) }
	other := ocispec.Platform{OS: "linux", Architecture: "s390x"}
	require.NoError(t, CheckPlatform(Here(), "", warn))
	require.Empty(t, warnings)
	require.NoError(t, CheckPlatform(other, "", warn))
	require.Len(t, warnings, 1)
	err := CheckPlatform(other, "linux/ppc64le", warn)
	require.ErrorIs(t, err, ErrNoImage)
	require.ErrorAs(t, err, new(OtherPlatform))
}

func TestADownloadGetsItsName(t *testing.T) {
	l, _ := newLayout(t)
	d := digest.FromString("x")
	part, err := os.Create(filepath.Join(l.Dir, "partial", d.Encoded()))
	require.NoError(t, err)
	_, err = part.WriteString("x")
	require.NoError(t, err)
	require.False(t, l.Has(d))
	require.NoError(t, l.KeepPart(part, d))
	require.NoError(t, part.Close())
	data, err := l.Read(d)
	require.NoError(t, err)
	require.Equal(t, "x", string(data))
}

func TestAFailedWriteLeavesNothing(t *testing.T) {
	l, _ := newLayout(t)
	file, err := l.Create()
	require.NoError(t, err)
	full := errors.New("no space")
	require.ErrorIs(t, l.Keep(file, digest.FromString("x"), full), full)
	require.NotContains(t, l.Keep(file, "", full).Error(), `""`, "a digest that is not known yet")
	require.False(t, l.Has(digest.FromString("x")))
	require.NoError(t, state.Sweep(filepath.Join(l.Dir, "partial")))
	left, err := os.ReadDir(filepath.Join(l.Dir, "partial"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestRemoval asks for one of two names, for both, and for an image with a twin.
func TestRemoval(t *testing.T) {
	l, _ := newLayout(t)
	image := write(t, l, "x", full(t, "app:1"))
	r, err := l.Removal(image.ID.String(), false)
	require.NoError(t, err)
	require.True(t, r.Last)
	require.False(t, r.Twin)
	require.NoError(t, l.Tag(image.Manifest, full(t, "app:2")))
	_, err = l.Removal(image.ID.String(), false)
	require.ErrorContains(t, err, "has several names: docker.io/library/app:1, docker.io/library/app:2; remove one")
	r, err = l.Removal(image.ID.String(), true)
	require.NoError(t, err)
	require.Equal(t, r.Image.Names, r.Names)
	r, err = l.Removal("app:2", false)
	require.NoError(t, err)
	require.Equal(t, []string{full(t, "app:2")}, r.Names)
	require.False(t, r.Last)
	_, err = l.Replace(image, nil, full(t, "twin"))
	require.ErrorContains(t, err, "its manifest has 0 layers")
	zipped, err := l.Put(ocispec.MediaTypeImageLayerGzip, []byte("zipped"))
	require.NoError(t, err)
	_, err = l.Replace(image, []ocispec.Descriptor{zipped}, full(t, "twin"))
	require.NoError(t, err)
	r, err = l.Removal("twin", false)
	require.NoError(t, err)
	require.True(t, r.Twin)
}

func TestCheckLayers(t *testing.T) {
	c := NewConfig()
	require.NoError(t, c.CheckLayers(0))
	require.EqualError(t, c.CheckLayers(2), "its manifest has 2 layers, and its configuration names 0: not an image to run")
	c.RootFS.DiffIDs = []digest.Digest{digest.FromString("layer"), "sha256:short"}
	require.ErrorContains(t, c.CheckLayers(2), `read "the configuration": `)
}

func TestLayersOfAllImages(t *testing.T) {
	l, _ := newLayout(t)
	layers, err := l.Layers()
	require.NoError(t, err)
	require.Empty(t, layers)
	first, second := write(t, l, "one", full(t, "one")), write(t, l, "two", full(t, "two"))
	layers, err = l.Layers()
	require.NoError(t, err)
	for _, image := range []*Image{first, second} {
		for _, diffID := range image.Config.RootFS.DiffIDs {
			require.True(t, layers[diffID])
		}
	}
	require.Len(t, layers, 2)
}

// Docker takes a string for these three lists, and for no other.
func TestWordsOfAConfiguration(t *testing.T) {
	var c Config
	require.NoError(t, json.Unmarshal([]byte(`{"os": "linux", "config": {"User": "app", "Entrypoint": "/bin/echo", "cmd": ["a", "b"], "Shell": "/bin/sh", "OnBuild": ["RUN id"]}}`), &c))
	require.Equal(t, RunConfig{ImageConfig: ocispec.ImageConfig{User: "app", Entrypoint: []string{"/bin/echo"}, Cmd: []string{"a", "b"}},
		OnBuild: []string{"RUN id"}, Shell: []string{"/bin/sh"}}, c.Config)
	data, err := json.Marshal(c.Config)
	require.NoError(t, err)
	require.JSONEq(t, `{"User": "app", "Entrypoint": ["/bin/echo"], "Cmd": ["a", "b"], "OnBuild": ["RUN id"], "Shell": ["/bin/sh"]}`, string(data))
	require.NoError(t, json.Unmarshal([]byte(`{"config": {"Cmd": null}}`), &c))
	require.Nil(t, c.Config.Cmd)
	for _, wrong := range []string{`{"Env": "A=1"}`, `{"OnBuild": "RUN id"}`, `{"Cmd": 5}`, `{"Cmd": {}}`, `{"Cmd": ["a", 5]}`, `{"Healthcheck": {"Test": "true"}}`} {
		require.Error(t, json.Unmarshal([]byte(`{"config": `+wrong+`}`), &Config{}), wrong)
	}
}

// A name that is near one of theirs is asked about once, with tiny only where it would be made.
func TestMisspeltNames(t *testing.T) {
	l, _ := newLayout(t)
	write(t, l, "x", "")
	write(t, l, "shop", full(t, "localhost:5000/shop"))
	_, err := l.Find("localhost:5000/shp")
	require.EqualError(t, err, `no such image here: "localhost:5000/shp"; box images lists them`+"\n     did you mean localhost:5000/shop?")
	require.Equal(t, err, l.Meant("localhost:5000/shp", err))
	_, err = l.Find("tinny")
	require.EqualError(t, err, `no such image here: "tinny"; box images lists them`)
	require.EqualError(t, l.Meant("tinny", errors.New("no network")), "no network\n     did you mean tiny?")
	require.NoError(t, l.Meant("tinny", nil))
}
