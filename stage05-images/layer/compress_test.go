package layer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"stagebox/lessons/boxtest"
)

// filtered sends data through a program.
func filtered(t testing.TB, data []byte, argv ...string) []byte {
	t.Helper()
	tools(t, argv[0])
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	require.NoError(t, err)
	return out
}

// someText is such as compresses well, and the same in each run.
func someText(n int) []byte {
	source := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, n)
	for i := range text {
		text[i] = "etaoin shrdlu\n"[min(source.IntN(14), source.IntN(14))]
	}
	return text
}

func TestDecompressByContent(t *testing.T) {
	text := someText(300000)
	for name, argv := range map[string][]string{"gzip": {"gzip", "-c"}, "zstd": {"zstd", "-c", "--zstd=wlog=27"}, "bzip2": {"bzip2", "-c"}, "xz": {"xz", "-c"}, "": {"cat"}} {
		t.Run(name, func(t *testing.T) {
			out, got, err := Decompress(bytes.NewReader(filtered(t, text, argv...)))
			require.NoError(t, err)
			require.Equal(t, name, got)
			data, err := io.ReadAll(out)
			require.NoError(t, err)
			_, err = out.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err, "again")
			require.NoError(t, out.Close())
			require.True(t, bytes.Equal(text, data))
		})
	}
	two := append(filtered(t, text[:100], "gzip", "-c"), filtered(t, text[100:], "gzip", "-c")...)
	out, _, err := Decompress(bytes.NewReader(two))
	require.NoError(t, err)
	data, err := io.ReadAll(out)
	require.NoError(t, err)
	require.True(t, bytes.Equal(text, data), "two members, one after the other")
	skipped := append([]byte("\x50\x2a\x4d\x18\x04\x00\x00\x00note"), filtered(t, text, "zstd", "-c")...)
	out, got, err := Decompress(bytes.NewReader(skipped))
	require.NoError(t, err)
	require.Equal(t, "zstd", got)
	data, err = io.ReadAll(out)
	require.NoError(t, err)
	require.True(t, bytes.Equal(text, data), "a frame to skip comes first, as pzstd writes one")
}

func TestDecompressTellsDamage(t *testing.T) {
	text := someText(200000)
	for _, tool := range []string{"gzip", "zstd", "bzip2", "xz"} {
		t.Run(tool, func(t *testing.T) {
			whole := filtered(t, text, tool, "-c")
			flipped := bytes.Clone(whole)
			flipped[len(flipped)/2] ^= 1
			for _, broken := range [][]byte{whole[:len(whole)-3], whole[:8], flipped} {
				out, _, err := Decompress(bytes.NewReader(broken))
				if err == nil {
					_, err = io.Copy(io.Discard, out)
				}
				require.Error(t, err)
			}
		})
	}
	wide := filtered(t, text, "zstd", "-c", "--long=31")
	read := func() error {
		out, _, err := Decompress(bytes.NewReader(wide))
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, out)
		return err
	}
	require.ErrorContains(t, read(), "window size exceeded: it wants more than 128 MiB of memory: if you trust it, allow more with --max-layer-window")
	defer func(was uint64) { MaxWindow = was }(MaxWindow)
	MaxWindow = 2 << 30
	require.NoError(t, read())
	for short := range 6 {
		out, name, err := Decompress(strings.NewReader("hello"[:min(short, 5)]))
		require.NoError(t, err)
		require.Empty(t, name)
		data, err := io.ReadAll(out)
		require.NoError(t, err)
		require.Len(t, data, min(short, 5))
	}
}

// gzipped compresses data, in pieces of a size.
func gzipped(t testing.TB, data []byte, piece int) []byte {
	t.Helper()
	var out bytes.Buffer
	z := NewGzipWriter(&out)
	for rest := data; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
		n, err := z.Write(rest[:min(piece, len(rest))])
		require.NoError(t, err)
		require.Equal(t, min(piece, len(rest)), n)
	}
	require.NoError(t, z.Close())
	require.NoError(t, z.Close(), "a second time")
	return out.Bytes()
}

func TestGzipReadsWhatWeCompress(t *testing.T) {
	for _, n := range []int{0, 1, gzipBlock - 1, gzipBlock, gzipBlock + 1, 5*gzipBlock + 7} {
		text := someText(n)
		data := gzipped(t, text, 100000)
		require.True(t, bytes.Equal(text, filtered(t, data, "gzip", "-dc")), "%d bytes", n)
	}
}

// TestSameBytesOnAnyMachine compresses with one processor and with several, in other pieces.
func TestSameBytesOnAnyMachine(t *testing.T) {
	text := someText(4*gzipBlock + 5)
	many := gzipped(t, text, 4096)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	require.True(t, bytes.Equal(many, gzipped(t, text, 3<<20)))
	require.Equal(t, make([]byte, 4), many[4:8], "no time")
}

// The digest of a layer that was pushed is known to others: the same layer must have it the next time.
func TestGzipGivesTheBytesThatItAlwaysGave(t *testing.T) {
	sum := sha256.Sum256(gzipped(t, someText(2*gzipBlock+5), 1<<20))
	require.Equal(t, "2e035733631a5d02b8f2604c942a39079685df1f89335ca8d4a4649e4df9a9ef", hex.EncodeToString(sum[:]))
}

// fullDisk is a disk that is full after some writes.
type fullDisk struct{ left int }

func (f *fullDisk) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errors.New("no space")
	}
	return len(p), nil
}

func TestGzipTellsThatTheDiskIsFull(t *testing.T) {
	boxtest.Slow(t)
	for left := range 8 { // header, five blocks, trailer: the eighth is not written
		z := NewGzipWriter(&fullDisk{left})
		_, err := z.Write(someText(4*gzipBlock + 5))
		err = errors.Join(err, z.Close())
		if left < 7 {
			require.ErrorContains(t, err, "gzip: no space", "after %d writes", left)
		} else {
			require.NoError(t, err)
		}
	}
}
