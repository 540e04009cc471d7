// Package digest names content by its hash, as the OCI image specification does: sha256:
// and 64 hexadecimal digits (descriptor.md, Digests). It has what box needs of
// github.com/opencontainers/go-digest under the same names, and not the regular expressions
// which that compiles whenever a program starts.
package digest

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"
)

// Digest is an algorithm, a colon and an encoded hash.
type Digest string

// Algorithm is a hash function. Only those with a constant can be computed.
type Algorithm string

const (
	SHA256 Algorithm = "sha256"
	SHA384 Algorithm = "sha384"
	SHA512 Algorithm = "sha512"
)

// What Validate finds wrong.
var (
	ErrFormat      = errors.New("invalid checksum digest format")
	ErrLength      = errors.New("invalid checksum digest length")
	ErrUnsupported = errors.New("unsupported digest algorithm")
)

// NewDigest returns the digest of what was written to a hash.
func NewDigest(a Algorithm, h hash.Hash) Digest {
	return Digest(string(a) + ":" + hex.EncodeToString(h.Sum(nil)))
}

// FromBytes returns the SHA-256 digest of data.
func FromBytes(data []byte) Digest { return SHA256.FromBytes(data) }

// FromString returns the SHA-256 digest of a text.
func FromString(text string) Digest { return SHA256.FromBytes([]byte(text)) }

// String returns the digest as it is written.
func (d Digest) String() string { return string(d) }

// Algorithm returns what comes before the colon. The digest has to be valid.
func (d Digest) Algorithm() Algorithm {
	algorithm, _ := d.cut()
	return Algorithm(algorithm)
}

// Encoded returns what comes after the colon. The digest has to be valid.
func (d Digest) Encoded() string {
	_, encoded := d.cut()
	return encoded
}

func (d Digest) cut() (algorithm, encoded string) {
	algorithm, encoded, found := strings.Cut(string(d), ":")
	if !found {
		panic("no ':' separator in digest \"" + string(d) + "\"") // a caller has not validated it
	}
	return algorithm, encoded
}

// Validate says what is wrong with a digest that was read somewhere: after it, the digest is safe
// as a file's name too.
func (d Digest) Validate() error {
	algorithm, encoded, _ := strings.Cut(string(d), ":")
	if algorithm == "" || encoded == "" {
		return ErrFormat
	}
	h := Algorithm(algorithm).new()
	switch {
	case h == nil && isAlgorithm(algorithm) && consistsOf(encoded, letters+upper+digits+"=_-"):
		return ErrUnsupported
	case h == nil:
		return ErrFormat
	case len(encoded) != 2*h.Size():
		return ErrLength
	case !consistsOf(encoded, digits+"abcdef"):
		return ErrFormat
	}
	return nil
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyz"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

func consistsOf(text, set string) bool { return strings.Trim(text, set) == "" }

// isAlgorithm reports whether a text could name an algorithm: words of small letters and digits
// with one of .+_- between two of them.
func isAlgorithm(text string) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(".+_-", r) })
	length := len(words) - 1 // of what is between them
	for _, word := range words {
		if length += len(word); !consistsOf(word, letters+digits) {
			return false
		}
	}
	return length == len(text)
}

// Verifier is a hash that knows what it should come to.
type Verifier struct {
	hash.Hash
	want Digest
}

// Verifier returns a hash for content that should have a digest, which has to be valid.
func (d Digest) Verifier() Verifier { return Verifier{d.Algorithm().Hash(), d} }

// Verified reports whether what was written has the digest.
func (v Verifier) Verified() bool { return NewDigest(v.want.Algorithm(), v) == v.want }

// Digester is a hash that knows its algorithm.
type Digester struct {
	algorithm Algorithm
	hash      hash.Hash
}

// Digester returns an empty hash of an algorithm, which has to be one of the constants.
func (a Algorithm) Digester() Digester { return Digester{a, a.Hash()} }

// Hash is where to write.
func (d Digester) Hash() hash.Hash { return d.hash }

// Digest returns the digest of what was written.
func (d Digester) Digest() Digest { return NewDigest(d.algorithm, d.hash) }

// String returns the algorithm's name.
func (a Algorithm) String() string { return string(a) }

// new returns an empty hash, or nil for an algorithm that is not known here.
func (a Algorithm) new() hash.Hash {
	switch a {
	case SHA256:
		return sha256.New()
	case SHA384:
		return sha512.New384()
	case SHA512:
		return sha512.New()
	}
	return nil
}

// Hash returns an empty hash of an algorithm, which has to be one of the constants.
func (a Algorithm) Hash() hash.Hash {
	h := a.new()
	if h == nil {
		panic("digest algorithm " + string(a) + " is not available") // a caller has not validated it
	}
	return h
}

// FromBytes returns the digest of data.
func (a Algorithm) FromBytes(data []byte) Digest {
	h := a.Hash()
	h.Write(data) // never fails
	return NewDigest(a, h)
}

// FromReader returns the digest of all that can be read.
func (a Algorithm) FromReader(from io.Reader) (Digest, error) {
	h := a.Hash()
	if _, err := io.Copy(h, from); err != nil {
		return "", err
	}
	return NewDigest(a, h), nil
}
