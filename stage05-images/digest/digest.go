// Package digest is the type of names by content, "sha256:" and 64 hexadecimal digits, as the OCI
// image specification has them (descriptor.md, Digests). Its interface is that of
// github.com/opencontainers/go-digest, which compiles regular expressions whenever a program that
// links it starts: a fifteenth of the time of box version. No lesson reads it.
package digest

import (
	"crypto"
	_ "crypto/sha256" // both are found by their numbers in package crypto
	_ "crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// Digest is an algorithm, a colon, and the hash in the form of the algorithm.
type Digest string

// Algorithm is the name of a hash function.
type Algorithm string

// These are the algorithms that the specification registers.
const (
	SHA256 Algorithm = "sha256"
	SHA384 Algorithm = "sha384" // Docker's
	SHA512 Algorithm = "sha512"
)

// What Validate returns.
var (
	ErrInvalidFormat = errors.New("invalid checksum digest format")
	ErrInvalidLength = errors.New("invalid checksum digest length")
	ErrUnsupported   = errors.New("unsupported digest algorithm")
)

// hash returns the number of the algorithm in package crypto; 0 if it is unknown.
func (a Algorithm) hash() crypto.Hash {
	switch a {
	case SHA256:
		return crypto.SHA256
	case SHA384:
		return crypto.SHA384
	case SHA512:
		return crypto.SHA512
	}
	return 0
}

// Hash returns a new hash. It panics if the algorithm is unknown: Validate tells beforehand.
func (a Algorithm) Hash() hash.Hash { return a.hash().New() }

// FromBytes returns the digest of some bytes.
func (a Algorithm) FromBytes(data []byte) Digest {
	h := a.Hash()
	h.Write(data)
	return NewDigest(a, h)
}

// FromReader returns the digest of all that a reader has.
func (a Algorithm) FromReader(r io.Reader) (Digest, error) {
	h := a.Hash()
	_, err := io.Copy(h, r)
	return NewDigest(a, h), err
}

// String is the algorithm's name.
func (a Algorithm) String() string { return string(a) }

// Digester returns what makes a digest of the bytes that are written to its hash.
func (a Algorithm) Digester() Digester { return Digester{a, a.Hash()} }

// Digester makes a digest.
type Digester struct {
	algorithm Algorithm
	hash      hash.Hash
}

// Hash returns what to write to.
func (d Digester) Hash() hash.Hash { return d.hash }

// Digest returns the digest of what was written until now.
func (d Digester) Digest() Digest { return NewDigest(d.algorithm, d.hash) }

// NewDigest returns the digest of what was written to a hash.
func NewDigest(a Algorithm, h hash.Hash) Digest {
	return Digest(string(a) + ":" + hex.EncodeToString(h.Sum(nil)))
}

// FromBytes returns the SHA-256 digest of some bytes.
func FromBytes(data []byte) Digest { return SHA256.FromBytes(data) }

// FromString returns the SHA-256 digest of a text.
func FromString(text string) Digest { return FromBytes([]byte(text)) }

// Validate returns an error for what is not a digest, or of an algorithm that is not known here.
func (d Digest) Validate() error {
	name, encoded, found := strings.Cut(string(d), ":")
	number := Algorithm(name).hash()
	switch {
	case !found || name == "" || encoded == "":
		return ErrInvalidFormat
	case number == 0 && isName(name) && isEncoded(encoded):
		return ErrUnsupported
	case number == 0:
		return ErrInvalidFormat
	case len(encoded) != 2*number.Size():
		return ErrInvalidLength
	case strings.Trim(encoded, "0123456789abcdef") != "":
		return ErrInvalidFormat
	}
	return nil
}

const lowerAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789"

// isName reports whether a text has the form of an algorithm's name: words between single
// separators.
func isName(text string) bool {
	word := true // whether a word has to begin
	for _, c := range text {
		switch {
		case strings.ContainsRune(lowerAndDigits, c):
			word = false
		case word || !strings.ContainsRune("+._-", c):
			return false
		default:
			word = true
		}
	}
	return !word
}

func isEncoded(text string) bool {
	return strings.Trim(strings.ToLower(text), lowerAndDigits+"=_-") == ""
}

// Algorithm returns the algorithm of a digest, which has to be valid.
func (d Digest) Algorithm() Algorithm { return Algorithm(d[:d.colon()]) }

// Encoded returns what follows the algorithm of a digest, which has to be valid.
func (d Digest) Encoded() string { return string(d[d.colon()+1:]) }

func (d Digest) colon() int {
	at := strings.IndexByte(string(d), ':')
	if at < 0 {
		panic(fmt.Sprintf("digest %q without an algorithm", string(d)))
	}
	return at
}

// String is the digest as it is written.
func (d Digest) String() string { return string(d) }

// Verifier is written to, and then says whether it was the bytes of a digest.
type Verifier interface {
	io.Writer
	Verified() bool
}

// Verifier returns one for a digest, which has to be valid.
func (d Digest) Verifier() Verifier { return verifier{d.Algorithm().Hash(), d} }

type verifier struct {
	hash.Hash
	want Digest
}

func (v verifier) Verified() bool { return NewDigest(v.want.Algorithm(), v.Hash) == v.want }

// Short is the beginning of the hash, for people: 12 digits. That of an empty digest is "".
func (d Digest) Short() string {
	_, hash, _ := strings.Cut(string(d), ":")
	return hash[:min(12, len(hash))]
}
