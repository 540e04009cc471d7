package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

func descriptor(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// keepNothing reads a layer as Read asks for.
func keepNothing(r io.Reader) (ocispec.Descriptor, error) {
	data, err := io.ReadAll(r)
	return descriptor(ocispec.MediaTypeImageLayer, data), err
}

var platform = ocispec.Platform{OS: "linux", Architecture: "amd64"}

// tarOf makes a tar file of names and contents.
func tarOf(t *testing.T, files ...string) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}))
		_, err := io.WriteString(w, files[i+1])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// sample is an archive of one image, and what it was made of.
func sample(t *testing.T) (archive []byte, want Image) {
	layer, config := tarOf(t, "file", "content"), []byte("{}")
	want = Image{Names: []string{"docker.io/library/app:1"}, Config: config, ConfigType: ocispec.MediaTypeImageConfig,
		Layers: []ocispec.Descriptor{descriptor(ocispec.MediaTypeImageLayer, layer)}}
	want.Data = []byte(`{"config":{"mediaType":"` + ocispec.MediaTypeImageConfig + `","digest":"` + digest.FromBytes(config).String() + `","size":2},` +
		`"layers":[{"mediaType":"` + ocispec.MediaTypeImageLayer + `","digest":"` + want.Layers[0].Digest.String() + `","size":2048}]}`)
	want.Manifest = descriptor("manifest", want.Data)
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, blob := range [][]byte{want.Data, config, layer, layer} { // the last one is there already
		require.NoError(t, w.Blob(digest.FromBytes(blob), int64(len(blob)), bytes.NewReader(blob)))
	}
	name, err := registry.ParseReference("app:1")
	require.NoError(t, err)
	w.Image(want.Manifest, digest.FromBytes(config), want.Layers, nil, &name)
	require.NoError(t, w.Close())
	return out.Bytes(), want
}

func TestReadsWhatItWrites(t *testing.T) {
	archive, want := sample(t)
	layers := 0
	a, err := Read(bytes.NewReader(archive), func(r io.Reader) (ocispec.Descriptor, error) {
		layers++
		return keepNothing(r)
	})
	require.NoError(t, err)
	require.Equal(t, 1, layers)
	var got []Image
	require.NoError(t, a.Images(platform, func(i *Image) error { got = append(got, *i); return nil }))
	require.Len(t, got, 1)
	got[0].Manifest.Annotations = nil
	require.Equal(t, want, got[0])
}

// TestDockersFormat reads the same archive without the list that OCI has.
func TestDockersFormat(t *testing.T) {
	archive, want := sample(t)
	a, err := Read(bytes.NewReader(archive), keepNothing)
	require.NoError(t, err)
	delete(a.files, "index.json")
	require.NoError(t, a.Images(platform, func(i *Image) error {
		require.Equal(t, want.Names, i.Names)
		require.Equal(t, want.Config, i.Config)
		require.Equal(t, want.Layers, i.Layers)
		require.Equal(t, digest.FromBytes(i.Data), i.Manifest.Digest)
		var m ocispec.Manifest
		require.NoError(t, json.Unmarshal(i.Data, &m))
		require.Equal(t, digest.FromBytes(want.Config), m.Config.Digest)
		require.Equal(t, want.Layers, m.Layers)
		return nil
	}))
}

func TestErrorsEndIt(t *testing.T) {
	archive, _ := sample(t)
	full := errors.New("no space")
	_, err := Read(bytes.NewReader(archive), func(io.Reader) (ocispec.Descriptor, error) { return ocispec.Descriptor{}, full })
	require.ErrorIs(t, err, full)
	a, err := Read(bytes.NewReader(archive), keepNothing)
	require.NoError(t, err)
	require.ErrorIs(t, a.Images(platform, func(*Image) error { return full }), full)
	for says, content := range map[string][]byte{
		"not an archive of docker save":          []byte(strings.Repeat("x", 600)),
		"neither manifest.json nor index.json":   tarOf(t, "a", "b"),
		`read "manifest.json"`:                   tarOf(t, "manifest.json", "{}"),
		"does not contain it":                    tarOf(t, "manifest.json", `[{"Config":"c"}]`),
		"invalid digest":                         tarOf(t, "index.json", `{"manifests":[{"digest":"x"}]}`),
		"a description is at most 4 MiB":         tarOf(t, "manifest.json", strings.Repeat(" ", 5<<20)),
		"has other bytes; their digest is sha25": tarOf(t, "index.json", `{"manifests":[{"digest":"`+digest.FromString("x").String()+`"}]}`, blobName(digest.FromString("x")), "y"),
	} {
		a, err := Read(bytes.NewReader(content), keepNothing)
		if err == nil {
			err = a.Images(platform, func(*Image) error { return nil })
		}
		require.ErrorContains(t, err, says)
	}
}

// TestWhatElseIsInAnArchive has two platforms under one name, and a signature.
func TestWhatElseIsInAnArchive(t *testing.T) {
	var files []string
	put := func(mediaType, text, name string) ocispec.Descriptor {
		d := descriptor(mediaType, []byte(text))
		files = append(files, blobName(d.Digest), text)
		if name != "" {
			d.Annotations = map[string]string{ocispec.AnnotationRefName: name}
		}
		return d
	}
	image := func(arch, configType, name string) ocispec.Descriptor {
		config := put(configType, `{"os":"linux","architecture":"`+arch+`"}`, "")
		return put(ocispec.MediaTypeImageManifest, fmt.Sprintf(`{"config":{"mediaType":%q,"digest":%q}}`, configType, config.Digest), name)
	}
	other, here := image("arm64", ocispec.MediaTypeImageConfig, "app:1"), image("amd64", ocispec.MediaTypeImageConfig, "app:1")
	single := image("s390x", ocispec.MediaTypeImageConfig, "single:1")
	signature := image("none", "application/vnd.oci.empty.v1+json", "sha256-abc")
	notes := put(ocispec.MediaTypeImageIndex, fmt.Sprintf(`{"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"artifactType":"application/x"}]}`, ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, signature.Digest), "sha256-def")
	for count, entries := range [][]ocispec.Descriptor{{signature, notes}, {signature, here, other, notes}, {other, single, here}} {
		index, err := json.Marshal(ocispec.Index{Manifests: entries})
		require.NoError(t, err)
		a, err := Read(bytes.NewReader(tarOf(t, append(files, "index.json", string(index))...)), keepNothing)
		require.NoError(t, err)
		var kept []digest.Digest
		err = a.Images(ocispec.Platform{OS: "linux", Architecture: "amd64"}, func(i *Image) error { kept = append(kept, i.Manifest.Digest); return nil })
		if count == 0 {
			require.ErrorContains(t, err, "none of the archive's 2 entries is an image")
			continue
		}
		require.NoError(t, err)
		require.Contains(t, kept, here.Digest)
		require.NotContains(t, kept, other.Digest)
		require.Len(t, kept, count)
	}
}
