package main

import (
	"testing"

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
