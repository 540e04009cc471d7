package digest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
)

// Digests are those of the hash functions; sha256sum and its sisters print the same.
func TestDigests(t *testing.T) {
	const empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	require.Equal(t, digest.Digest(empty), digest.FromBytes(nil))
	require.Equal(t, digest.Digest(empty), digest.FromString(""))
	require.Equal(t, digest.SHA256, digest.FromString("").Algorithm())
	require.Equal(t, empty[len("sha256:"):], digest.FromString("").Encoded())
	for _, a := range []digest.Algorithm{digest.SHA256, digest.SHA384, digest.SHA512} {
		d, err := a.FromReader(strings.NewReader("abc"))
		require.NoError(t, err)
		require.NoError(t, d.Validate())
		require.Equal(t, a, d.Algorithm())
		sum := d.Verifier()
		require.False(t, sum.Verified())
		sum.Write([]byte("abc"))
		require.True(t, sum.Verified())
		sum.Write([]byte("d"))
		require.False(t, sum.Verified())
	}
}

// What is not a digest is refused, with the reason that github.com/opencontainers/go-digest gives.
func TestValidate(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 8)
	for text, want := range map[digest.Digest]error{
		"": digest.ErrFormat, "x": digest.ErrFormat, ":x": digest.ErrFormat, "sha256:": digest.ErrFormat,
		digest.Digest("sha256:" + hex[:64]):        nil,
		digest.Digest("sha384:" + hex[:96]):        nil,
		digest.Digest("sha512:" + hex):             nil,
		digest.Digest("sha256:" + hex):             digest.ErrLength,
		digest.Digest("sha256:" + hex[:63]):        digest.ErrLength,
		digest.Digest("sha256:A" + hex[:63]):       digest.ErrFormat,
		digest.Digest("sha256:../../" + hex[:58]):  digest.ErrFormat,
		digest.Digest("sha256:" + hex[:63] + "\n"): digest.ErrFormat,
		digest.Digest("SHA256:" + hex[:64]):        digest.ErrFormat,
		"md5:x":                                    digest.ErrUnsupported, "a.b+c_d-e:x=_-Y": digest.ErrUnsupported,
		"a..b:x": digest.ErrFormat, ".a:x": digest.ErrFormat, "a.:x": digest.ErrFormat, "md5:x/y": digest.ErrFormat, "md5:x:y": digest.ErrFormat,
	} {
		require.Equal(t, want, text.Validate(), "%q", text)
	}
}
