package registry

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
)

// documents are what a registry or an archive has, by digest.
type documents map[digest.Digest][]byte

func (d documents) get(desc ocispec.Descriptor) ([]byte, error) {
	data, found := d[desc.Digest]
	if !found {
		return nil, fmt.Errorf("no %s", desc.Digest)
	}
	return data, nil
}

func (d documents) put(t *testing.T, mediaType string, value any) ocispec.Descriptor {
	data, err := json.Marshal(value)
	require.NoError(t, err)
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	d[desc.Digest] = data
	return desc
}

// image is a manifest for a platform, given as OS/ARCH/VARIANT. Its entry names the platform, unless
// that begins with a question mark.
func (d documents) image(t *testing.T, platform string) ocispec.Descriptor {
	platform, silent := strings.CutPrefix(platform, "?")
	parts := append(strings.Split(platform, "/"), "", "")
	p := ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
	config := d.put(t, ocispec.MediaTypeImageConfig, ocispec.Image{Platform: p})
	one := d.put(t, ocispec.MediaTypeImageManifest, ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: config})
	if !silent {
		one.Platform, one.ArtifactType = &p, config.MediaType // as some tools write it
	}
	return one
}

func (d documents) index(t *testing.T, entries ...ocispec.Descriptor) ocispec.Descriptor {
	return d.put(t, ocispec.MediaTypeImageIndex, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: entries})
}

func (d documents) resolve(index ocispec.Descriptor, platform ocispec.Platform) (ocispec.Descriptor, error) {
	one, _, err := Resolve(index, d[index.Digest], platform, d.get)
	return one, err
}

func TestBestMatch(t *testing.T) {
	for _, c := range []struct{ want, entries, found string }{
		{"linux/amd64", "linux/arm64 linux/amd64/v3 linux/amd64", "linux/amd64"},
		{"linux/amd64", "linux/amd64/v9", ""},
		{"linux/amd64/v3", "linux/amd64 linux/amd64/v2 linux/amd64/v4", "linux/amd64/v2"},
		{"linux/amd64/v3", "linux/amd64 linux/amd64/v2 linux/amd64/v3", "linux/amd64/v3"},
		{"linux/arm/v7", "linux/arm/v5 linux/arm/v6 linux/arm64/v8", "linux/arm/v6"},
		{"linux/arm", "linux/arm/v6 linux/arm/v8 linux/arm/v7", "linux/arm/v7"},
		{"linux/arm/v6", "linux/arm/v7 linux/arm/v5", "linux/arm/v5"},
		{"linux/arm64", "linux/arm/v7 linux/arm64/v8", "linux/arm64/v8"},
		{"linux/arm64/v8", "linux/arm64", "linux/arm64"},
		{"linux/amd64", "windows/amd64 linux/x86_64", "linux/x86_64"},
		{"linux/amd64", "?linux/arm64 ?linux/amd64", "?linux/amd64"},
		{"linux/amd64", "?linux/amd64 linux/amd64", "linux/amd64"},
		{"linux/riscv64", "linux/arm64 ?linux/s390x", ""},
	} {
		docs := documents{}
		var entries []ocispec.Descriptor
		for entry := range strings.FieldsSeq(c.entries) {
			entries = append(entries, docs.image(t, entry))
		}
		platform, err := ParsePlatform(c.want)
		require.NoError(t, err)
		for depth, index := range []ocispec.Descriptor{docs.index(t, entries...), docs.index(t, docs.index(t, entries...))} {
			one, err := docs.resolve(index, platform)
			if c.found == "" {
				require.ErrorContains(t, err, "no image for platform "+c.want+"; available: ", c.entries)
				continue
			}
			require.NoError(t, err, c.entries, depth)
			require.Equal(t, docs.image(t, c.found).Digest, one.Digest, "%s of %s", c.want, c.entries)
		}
	}
}

// TestARMOnARM64 has an index with images of 32-bit arm: a processor of 64 bits may run them, and
// takes its own first.
func TestARMOnARM64(t *testing.T) {
	defer func(old func() bool) { runsARM = old }(runsARM)
	want := ocispec.Platform{OS: "linux", Architecture: "arm64"}
	for _, c := range []struct {
		runs           bool
		entries, found string
	}{
		{true, "linux/arm/v6 linux/arm/v7 linux/amd64", "linux/arm/v7"},
		{true, "linux/arm/v7 linux/arm64", "linux/arm64"},
		{false, "linux/arm/v7", ""},
	} {
		runsARM = func() bool { return c.runs }
		docs := documents{}
		var entries []ocispec.Descriptor
		for entry := range strings.FieldsSeq(c.entries) {
			entries = append(entries, docs.image(t, entry))
		}
		one, err := docs.resolve(docs.index(t, entries...), want)
		if c.found == "" {
			require.ErrorContains(t, err, "no image for platform linux/arm64")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, docs.image(t, c.found).Digest, one.Digest, c.entries)
	}
}

// TestVariantOfThisProcessor has an index in which only a variant of amd64 is, which this machine's
// processor can or cannot run.
func TestVariantOfThisProcessor(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("variants of amd64 are asked of a processor of this architecture")
	}
	docs := documents{}
	platform, err := ParsePlatform("")
	require.NoError(t, err)
	for variant := 2; variant <= 4; variant++ {
		one := docs.image(t, fmt.Sprintf("linux/amd64/v%d", variant))
		_, err := docs.resolve(docs.index(t, one), platform)
		if variant <= amd64Level() {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "no image for platform linux/amd64")
		}
	}
}

// TestLevelOfThisProcessor asks the C library, which chooses among variants of libraries.
func TestLevelOfThisProcessor(t *testing.T) {
	out, err := exec.Command("/lib64/ld-linux-x86-64.so.2", "--help").Output()
	if err != nil || !strings.Contains(string(out), "x86-64-v3") {
		t.Skip("no loader of glibc here that lists variants of amd64")
	}
	level := 1
	for ; level < 3 && strings.Contains(string(out), fmt.Sprintf("x86-64-v%d (supported", level+1)); level++ {
	}
	require.Equal(t, level, amd64Level())
}

func TestWhatIsNoImageIsNotChosen(t *testing.T) {
	docs := documents{}
	note := docs.image(t, "?linux/amd64")
	note.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	unknown := docs.image(t, "unknown/unknown")
	signature := docs.put(t, ocispec.MediaTypeImageManifest, ocispec.Manifest{Config: ocispec.DescriptorEmptyJSON, ArtifactType: "application/x.signature"})
	other := docs.put(t, "application/x.something", "x")
	want, err := ParsePlatform("linux/amd64")
	require.NoError(t, err)
	_, err = docs.resolve(docs.index(t, note, unknown, signature, other), want)
	require.ErrorIs(t, err, ErrNoImage)
	_, err = docs.resolve(docs.index(t), want)
	require.ErrorIs(t, err, ErrNoImage)
	one, err := docs.resolve(docs.index(t, note, unknown, signature, docs.image(t, "?linux/amd64")), want)
	require.NoError(t, err)
	require.Equal(t, docs.image(t, "linux/amd64").Digest, one.Digest)
}

// An image may have the type of an artifact (manifest.md of the OCI image specification); containerd
// looks at neither.
func TestImageWithTheTypeOfAnArtifact(t *testing.T) {
	docs := documents{}
	config := docs.put(t, ocispec.MediaTypeImageConfig, ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}})
	manifest := ocispec.Manifest{Config: config, ArtifactType: "application/x.app", Subject: &config}
	require.True(t, IsImage(manifest))
	image := docs.put(t, ocispec.MediaTypeImageManifest, manifest)
	image.ArtifactType = manifest.ArtifactType
	signature := docs.put(t, ocispec.MediaTypeImageManifest, ocispec.Manifest{Config: ocispec.DescriptorEmptyJSON, ArtifactType: "application/x.app"})
	signature.ArtifactType, signature.Platform = "application/x.app", &ocispec.Platform{OS: "linux", Architecture: "amd64"}
	want, err := ParsePlatform("linux/amd64")
	require.NoError(t, err)
	one, err := docs.resolve(docs.index(t, signature, docs.image(t, "linux/arm64"), image), want)
	require.NoError(t, err)
	require.Equal(t, image.Digest, one.Digest)
	one, err = docs.resolve(docs.index(t, signature, image, docs.image(t, "linux/amd64")), want)
	require.NoError(t, err)
	require.NotContains(t, []string{signature.Digest.String(), image.Digest.String()}, one.Digest.String(), "one without such a type comes first")
}

func TestIndexesInIndexesEnd(t *testing.T) {
	docs := documents{}
	want, err := ParsePlatform("linux/amd64")
	require.NoError(t, err)
	index := docs.image(t, "linux/amd64")
	for range maxDepth {
		index = docs.index(t, index)
	}
	_, err = docs.resolve(index, want)
	require.NoError(t, err)
	_, err = docs.resolve(docs.index(t, index), want)
	require.ErrorContains(t, err, "is the 5th in a row")
	var many []ocispec.Descriptor
	for i := range maxAsked + 1 {
		many = append(many, docs.image(t, fmt.Sprintf("?linux/x%d", i)))
	}
	_, err = docs.resolve(docs.index(t, many...), want)
	require.ErrorContains(t, err, "more than 32 entries without a platform")
}

func TestParsePlatform(t *testing.T) {
	for text, want := range map[string]string{
		"": "linux/" + runtime.GOARCH, "linux": "linux/" + runtime.GOARCH, "arm64": "linux/arm64", "linux/aarch64": "linux/arm64",
		"linux/arm64/v8": "linux/arm64", "linux/amd64/v1": "linux/amd64", "Linux/x86_64": "linux/amd64", "linux/arm": "linux/arm/v7",
		"linux/arm/v7": "linux/arm/v7", "arm/v6": "linux/arm/v6", "linux/arm/6": "linux/arm/v6", "linux/armhf": "linux/arm/v7", "linux/amd64/v3": "linux/amd64/v3",
	} {
		got, err := ParsePlatform(text)
		require.NoError(t, err, text)
		require.Equal(t, want, FormatPlatform(got), text)
	}
	for text, says := range map[string]string{
		"linux/amd64,linux/arm64": "one platform at a time", "linux/": "give OS/ARCH", "/amd64": "give OS/ARCH", "linux/arm64/v8/x": "give OS/ARCH",
		"linux/amd 64": "give OS/ARCH", "linux/adm64": "unknown architecture adm64", "beos/amd64/v2": "unknown operating system beos", "linuks/amd64": "unknown architecture linuks",
	} {
		_, err := ParsePlatform(text)
		require.ErrorContains(t, err, says, text)
	}
}
