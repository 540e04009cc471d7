package digest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os/exec"
	"strings"
	"testing"

	theirs "github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage05-images/digest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// A digest is what sha256sum and the others print.
func TestDigestsAreThoseOfTheTools(t *testing.T) {
	for _, a := range []digest.Algorithm{digest.SHA256, digest.SHA384, digest.SHA512} {
		sum := exec.Command(string(a) + "sum")
		sum.Stdin = strings.NewReader("content")
		out, err := sum.Output()
		require.NoError(t, err)
		want, _, _ := strings.Cut(string(out), " ")
		d := a.FromBytes([]byte("content"))
		require.Equal(t, string(a)+":"+want, d.String())
		require.NoError(t, d.Validate())
		require.Equal(t, []string{string(a), want}, []string{d.Algorithm().String(), d.Encoded()})
		read, err := a.FromReader(strings.NewReader("content"))
		require.NoError(t, err)
		require.Equal(t, d, read)
		maker := a.Digester()
		maker.Hash().Write([]byte("content"))
		require.Equal(t, d, maker.Digest())
		v := d.Verifier()
		v.Write([]byte("cont"))
		require.False(t, v.Verified())
		v.Write([]byte("ent"))
		require.True(t, v.Verified())
	}
	sum := sha256.Sum256([]byte("x"))
	require.Equal(t, digest.Digest("sha256:"+hex.EncodeToString(sum[:])), digest.FromString("x"))
}

// FuzzValidate: what is valid, and the reason why not, is the same as in go-digest.
func FuzzValidate(f *testing.F) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for _, text := range []string{"", ":", "sha256:", ":" + hex, "sha256:" + hex, "sha256:" + hex + "0", "sha256:" + strings.ToUpper(hex),
		"sha384:" + hex + hex[:32], "sha512:" + hex + hex, "sha256:" + hex[:63] + ":", "md5:" + hex, "a+b:c=d", "a++b:c", "+a:c", "a+:c",
		"a.b_c-d+e:F_-=", "A:c", "a:b c", "a:é", "é:a", "sha256:" + hex[:62] + "é", "sha256:\n" + hex, "a:b\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := map[error]error{nil: nil, theirs.ErrDigestInvalidFormat: digest.ErrInvalidFormat,
			theirs.ErrDigestInvalidLength: digest.ErrInvalidLength, theirs.ErrDigestUnsupported: digest.ErrUnsupported}
		require.Equal(t, want[theirs.Digest(text).Validate()], digest.Digest(text).Validate(), "%q", text)
	})
}
