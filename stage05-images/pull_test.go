package main

import (
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

func TestParsePlatform(t *testing.T) {
	for text, want := range map[string]string{"linux/arm64": "linux/arm64", "linux/arm/v7": "linux/arm/v7",
		"linux/arm64/v8": "linux/arm64", "linux/amd64/v1": "linux/amd64", "linux/amd64/v3": "linux/amd64/v3", "": platformText(here())} {
		got, err := parsePlatform(text)
		require.NoError(t, err, text)
		require.Equal(t, want, platformText(got), text)
	}
	for _, text := range []string{"linux", "linux/", "/arm64", "a/b/c/d"} {
		_, err := parsePlatform(text)
		require.ErrorContains(t, err, "give OS/ARCH", text)
	}
}

func TestChooseTellsWhatThereIs(t *testing.T) {
	arm, other := ocispec.Descriptor{Platform: &ocispec.Platform{OS: "linux", Architecture: "arm64"}}, ocispec.Platform{OS: "linux", Architecture: "riscv64"}
	for want, list := range map[string][]ocispec.Descriptor{"there are linux/arm64": {arm}, "there are none that name a platform": {{}}} {
		_, err := choose(ocispec.Index{Manifests: list}, other)
		require.EqualError(t, err, "there is none for linux/riscv64; "+want)
	}
}
