package main

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// noConfig keeps the caller's own credentials and certificates out of a test.
func noConfig(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
}

func blobOf(data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

func randomBytes(t *testing.T, n int) []byte {
	data, seed := make([]byte, n), [32]byte{}
	_, err := rand.Read(seed[:])
	require.NoError(t, err)
	_, err = mathrand.NewChaCha8(seed).Read(data)
	require.NoError(t, err)
	return data
}
