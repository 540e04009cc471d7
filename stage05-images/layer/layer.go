// Package layer turns a layer of an image into a directory and back.
//
// A layer is a tar stream of what changed; in the store it is a directory that overlay can stack.
// The two differ in how they mark a removed file: in tar an empty file .wh.NAME removes NAME, and
// .wh..wh..opq in a directory removes all that lower layers have in it (layer.md of the OCI image
// specification); for overlay it is a character device 0:0, and an attribute of the directory
// (overlayfs in the kernel's Documentation). Unpack makes the directory and Pack the stream. If a
// file cannot get its owner, mode, device or attributes, because an ordinary user unpacks it, they
// are in the owners file beside the directory (owners.go).
//
// Lesson 5 reads Unpack, Pack and owners.go. Receive, Decompress and NewGzipWriter deal with layers
// in transit. Inherit makes the directories that a layer lacks. InheritOwners, and Extractor on its
// own, are used from stage 06 on.
package layer

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"stagebox/stage05-images/digest"
)

const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
)

// isMark reports whether a path has a name in it that is about lower layers.
func isMark(name string) bool {
	return strings.HasPrefix(name, whiteoutPrefix) || strings.Contains(name, "/"+whiteoutPrefix)
}

// epoch is the time of files for which an archive has none.
var epoch = time.Unix(0, 0)

// Sum describes a layer that was read or written.
type Sum struct {
	DiffID digest.Digest // of the uncompressed stream, as an image's configuration lists it
	Bytes  int64         // its length

	Compression string // how the stream was compressed, in the words of Decompress
}

// Compare returns an error if a layer has another digest, is, than its image says.
func Compare(is, want digest.Digest) error {
	if is == want {
		return nil
	}
	return fmt.Errorf("the layer that should be %s is %s when it is unpacked: "+
		"the image is damaged, or it was changed", want, is)
}

// summer computes the Sum of the stream that is written to it.
type summer struct {
	hash  hash.Hash
	bytes int64
}

// newSummer returns a summer of an empty stream.
func newSummer() *summer { return &summer{hash: sha256.New()} }

// Write never fails.
func (s *summer) Write(data []byte) (int, error) {
	s.bytes += int64(len(data))
	return s.hash.Write(data)
}

// Sum is that of the stream so far.
func (s *summer) Sum() Sum {
	return Sum{DiffID: digest.NewDigest(digest.SHA256, s.hash), Bytes: s.bytes}
}

// Limit returns an error if a layer may not have so many bytes or files. It is called with larger
// and larger numbers while a layer is read. Archives of strangers can be small, and endless when
// they are unpacked; the count of bytes may even overflow.
type Limit func(bytes, files int64) error

// SumOf reads a layer, compressed or not, to its end. Of the limit, only the bytes count.
func SumOf(r io.Reader, limit Limit) (Sum, error) {
	return decompressed(r, func(stream io.Reader) (Sum, error) {
		ahead := startReadAhead(stream, limit)
		defer ahead.stop()
		if err := ahead.drain(); err != nil {
			return Sum{}, err
		}
		return ahead.Sum(), nil
	})
}

// decompressed calls read with the content of a stream, and adds to its Sum how that was compressed.
func decompressed(r io.Reader, read func(io.Reader) (Sum, error)) (Sum, error) {
	stream, compression, err := Decompress(r)
	if err != nil {
		return Sum{}, err
	}
	defer stream.Close()
	var sum Sum
	err = readOnce(stream, compression, func(content io.Reader) error {
		sum, err = read(content)
		return err
	})
	sum.Compression = compression
	return sum, err
}

// readAhead reads and sums a stream on one processor, while another makes files of it.
type readAhead struct {
	*summer
	limit       Limit
	full, empty chan []byte
	quit        chan struct{}
	block, rest []byte // that is being read from, and what is left of it
	err         error  // why there are no more blocks, once full is closed
}

func startReadAhead(r io.Reader, limit Limit) *readAhead {
	const blocks, size = 4, 1 << 20
	a := &readAhead{
		summer: newSummer(), limit: limit,
		full: make(chan []byte, blocks), empty: make(chan []byte, blocks), quit: make(chan struct{}),
	}
	for range blocks {
		a.empty <- make([]byte, size)
	}
	go a.run(r)
	return a
}

func (a *readAhead) run(r io.Reader) {
	defer close(a.full)
	for a.err == nil {
		var block []byte
		select {
		case block = <-a.empty:
		case <-a.quit:
			return
		}
		var n int
		n, a.err = r.Read(block[:cap(block)])
		_, sumErr := a.Write(block[:n])
		if a.err == nil {
			a.err = cmp.Or(sumErr, a.limit(a.bytes, 0))
		}
		a.full <- block[:n] // there is room for all of them
	}
}

// Read is io.Reader's.
func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.block != nil {
			a.empty <- a.block
		}
		if a.rest = <-a.full; a.rest == nil {
			a.block = nil
			return 0, a.err
		}
		a.block = a.rest
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// drain reads what follows the last entry of the archive.
func (a *readAhead) drain() error {
	if _, err := io.Copy(io.Discard, a); err != nil {
		return fmt.Errorf("read the layer: %w", err)
	}
	return nil
}

// stop waits until the stream is no longer being read.
func (a *readAhead) stop() {
	close(a.quit)
	for range a.full {
	}
}

// about says which operation on which file has failed.
func about(operation, path string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %q: %w", operation, path, err)
	}
	return nil
}
