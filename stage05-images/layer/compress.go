// Layers travel compressed, usually with gzip (RFC 1952), recently also with zstd (RFC 8878). The
// first bytes of a stream say how. For gzip on all processors, the stream is cut into blocks of one
// size that are compressed side by side, each ending at a byte boundary: one after the other they
// are one deflate stream (RFC 1951), in one member. klauspost/pgzip also does this, but lets each
// block refer to the one before: smaller, but different bytes, and a layer that was pushed must have
// the same digest next time.

package layer

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"stagebox/stage02-cgroups/units"
)

// MaxWindow is how far back a zstd stream may refer. All of it has to be kept in memory, so a
// stranger must not choose it. The default is what zstd --ultra asks for; RFC 8878 has no limit, and
// the program zstd none beyond 2 GiB. A program sets it before it decompresses anything.
var MaxWindow uint64 = 128 << 20

// Decompress returns the content of a stream, and how it was compressed: "gzip", "zstd", "bzip2",
// "xz" or "" (not at all). Closing the content does not close r.
func Decompress(r io.Reader) (io.ReadCloser, string, error) {
	in := bufio.NewReaderSize(r, 1<<18)
	magic, err := in.Peek(6)
	if err != nil && err != io.EOF {
		return nil, "", fmt.Errorf("read the first bytes: %w", err)
	}
	switch kind := compressionOf(magic); kind {
	case "gzip":
		out, err := gzip.NewReader(in)
		if err != nil {
			return nil, kind, fmt.Errorf("gzip: %w", err)
		}
		return out, kind, nil
	case "zstd":
		out, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(MaxWindow))
		if err != nil {
			return nil, kind, fmt.Errorf("zstd: %w", err)
		}
		return zstdReader{out.IOReadCloser()}, kind, nil
	case "bzip2":
		return io.NopCloser(bzip2.NewReader(in)), kind, nil
	case "xz":
		out, err := openXZ(in)
		return out, kind, err
	}
	return io.NopCloser(in), "", nil
}

// compressionOf tells from the first 6 bytes of a stream how it is compressed, in the words of
// Decompress.
func compressionOf(magic []byte) string {
	is := func(prefix string) bool { return bytes.HasPrefix(magic, []byte(prefix)) }
	switch {
	case is("\x1f\x8b"):
		return "gzip"
	case is("\x28\xb5\x2f\xfd"), // a frame, or one to skip
		len(magic) > 3 && magic[0]&0xf0 == 0x50 && is(string(magic[0])+"\x2a\x4d\x18"):
		return "zstd"
	case is("BZh"):
		return "bzip2"
	case is("\xfd7zXZ\x00"):
		return "xz"
	}
	return ""
}

// readOnce calls read with what was decompressed from a stream. If that fails and the content looks
// compressed too, the error says so: as in Docker, it is not decompressed again.
func readOnce(content io.Reader, outer string, read func(io.Reader) error) error {
	in := bufio.NewReader(content)
	magic, _ := in.Peek(6)
	inner := compressionOf(magic)
	err := read(in)
	if err != nil && err != io.EOF && outer != "" && inner != "" {
		return fmt.Errorf("%w: it was compressed twice, with %s and then with %s", err, inner, outer)
	}
	return err
}

// zstdReader says what can be done about a window that is too large.
type zstdReader struct{ io.ReadCloser }

func (z zstdReader) Read(p []byte) (int, error) {
	n, err := z.ReadCloser.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = fmt.Errorf("zstd: %w: it wants more than %s of memory: if you trust it, "+
			"allow more with --max-layer-window, at most 2g", err, units.FormatSize(int64(MaxWindow)))
	}
	return n, err
}

// gzipBlock is how many bytes are compressed at once. The result depends on it, and not on the
// number of processors.
const gzipBlock = 1 << 20

// NewGzipWriter returns a writer that compresses to w on all processors. The same bytes give the
// same stream on any machine. The stream is complete after Close, which does not close w.
func NewGzipWriter(w io.Writer) io.WriteCloser {
	z := &gzipWriter{
		w: w, queue: make(chan chan *gzipPart, runtime.GOMAXPROCS(0)),
		done: make(chan struct{}), failed: make(chan struct{}),
	}
	go z.write()
	return z
}

// gzipWriter cuts a stream into blocks.
type gzipWriter struct {
	w      io.Writer
	part   *gzipPart
	crc    uint32
	size   uint32
	queue  chan chan *gzipPart // of the blocks that are being compressed, in their order
	failed chan struct{}       // closed when err is set
	done   chan struct{}       // closed when everything has been written
	err    error
	closed bool
}

// gzipPart is a block, before and after.
type gzipPart struct {
	plain  []byte
	packed bytes.Buffer
	flate  *flate.Writer
	err    error
}

// gzipParts keeps their buffers for the next blocks.
var gzipParts = sync.Pool{New: func() any { return &gzipPart{plain: make([]byte, 0, gzipBlock)} }}

// Write is io.Writer's.
func (z *gzipWriter) Write(data []byte) (n int, err error) {
	for n < len(data) {
		n += z.fill(data[n:])
		if len(z.part.plain) == gzipBlock {
			if err := z.send(false); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// fill takes as much into the block as there is room for.
func (z *gzipWriter) fill(data []byte) int {
	if z.part == nil {
		z.part = gzipParts.Get().(*gzipPart)
		z.part.plain = z.part.plain[:0]
	}
	n := min(len(data), gzipBlock-len(z.part.plain))
	z.part.plain = append(z.part.plain, data[:n]...)
	return n
}

// send has the block compressed, and takes its place in the order of the result.
func (z *gzipWriter) send(last bool) error {
	part, result := z.part, make(chan *gzipPart, 1)
	z.part = nil
	z.crc, z.size = crc32.Update(z.crc, crc32.IEEETable, part.plain), z.size+uint32(len(part.plain))
	select {
	case z.queue <- result:
	case <-z.failed:
		return z.err
	}
	go func() {
		part.compress(last)
		result <- part
	}()
	return nil
}

func (p *gzipPart) compress(last bool) {
	p.packed.Reset()
	if p.flate == nil {
		if p.flate, p.err = flate.NewWriter(nil, flate.BestSpeed); p.err != nil {
			return
		}
	}
	p.flate.Reset(&p.packed)
	if _, p.err = p.flate.Write(p.plain); p.err != nil {
		return
	}
	if last {
		p.err = p.flate.Close()
	} else {
		p.err = p.flate.Flush()
	}
}

// write writes the header, which names no file and no time, and the blocks in their order.
func (z *gzipWriter) write() {
	defer close(z.done)
	fail := func(err error) {
		if err != nil && z.err == nil {
			z.err = fmt.Errorf("gzip: %w", err)
			close(z.failed)
		}
	}
	_, err := z.w.Write([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"))
	fail(err)
	for result := range z.queue {
		part := <-result
		if fail(part.err); z.err == nil {
			_, err := z.w.Write(part.packed.Bytes())
			fail(err)
		}
		gzipParts.Put(part)
	}
}

// Close writes the last block, the checksum and the length.
func (z *gzipWriter) Close() error {
	if z.closed {
		return z.err
	}
	z.closed = true
	z.fill(nil)
	err := z.send(true)
	close(z.queue)
	<-z.done
	if err != nil || z.err != nil {
		return z.err
	}
	trailer := binary.LittleEndian.AppendUint32(nil, z.crc)
	trailer = binary.LittleEndian.AppendUint32(trailer, z.size)
	if _, err := z.w.Write(trailer); err != nil {
		return fmt.Errorf("gzip: %w", err)
	}
	return nil
}
