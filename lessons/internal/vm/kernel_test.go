package vm

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

// The kernel that QEMU enters is the one of the file: its last symbols and its version are in it.
func TestPlainKernel(t *testing.T) {
	boxtest.Turn(t, 1, 4)
	t.Parallel()
	h, err := findHost()
	if err != nil {
		t.Skip(err)
	}
	kernel, err := plainKernel(h.kernel)
	require.NoError(t, err)
	if kernel == nil {
		t.Skip("this kernel is not packed by LZ4: QEMU gets it as it is")
	}
	defer kernel.Close()
	content, err := io.ReadAll(kernel)
	require.NoError(t, err)
	version := strings.TrimPrefix(filepath.Base(h.kernel), "vmlinuz-")
	require.Contains(t, string(content), "Linux version "+version+" (")
	program, err := elf.NewFile(bytes.NewReader(content))
	require.NoError(t, err)
	require.NotNil(t, program.Section(".init.text"))
	require.Less(t, endOfELF(content), len(content), "all of it is there, and the relocations that follow")
}

// endOfELF is where the table of sections ends, which is last (elf(5)).
func endOfELF(content []byte) int {
	at := binary.LittleEndian.Uint64(content[0x28:])
	size, n := binary.LittleEndian.Uint16(content[0x3a:]), binary.LittleEndian.Uint16(content[0x3c:])
	return int(at) + int(size)*int(n)
}

// A kernel in another form is QEMU's matter.
func TestOtherKernels(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"short": "MZ", "another": strings.Repeat("HdrS", 1000)} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		kernel, err := plainKernel(path)
		require.NoError(t, err)
		require.Nil(t, kernel)
	}
}

// What a block says is that of the examples in lz4_Block_format.md; one that is cut short or copies
// from nowhere is refused.
func TestBlocks(t *testing.T) {
	t.Parallel()
	for block, want := range map[string]string{
		"\x30abc":                    "abc",
		"\x12a\x01\x00\x10b":         "aaaaaaab",                     // a copy of what it has just written
		"\x32abc\x03\x00\x10d":       "abcabcabcd",                   // the same with three bytes
		"\x1fa\x01\x00\x01\x00":      "a" + strings.Repeat("a", 20),  // 15 and one more, and four
		"\xf0\x01aaaaaaaaaaaaaaaa":   strings.Repeat("a", 16),        // 15 and one more
		"\x1fa\x01\x00\xff\x00\x10b": strings.Repeat("a", 275) + "b", // 15, 255 and none more, and four
	} {
		out := make([]byte, 1000)
		n, err := unpackBlock(out, []byte(block))
		require.NoError(t, err, "%q", block)
		require.Equal(t, want, string(out[:n]), "%q", block)
		_, err = unpackBlock(out[:len(want)-1], []byte(block))
		require.Error(t, err, "%q has no room", block)
	}
	for _, block := range []string{"\x30ab", "\x12a\x02\x00\x10b", "\x12a\x00\x00\x10b", "\x12a\x01"} {
		_, err := unpackBlock(make([]byte, 1000), []byte(block))
		require.Error(t, err, "%q", block)
	}
}

// A module is what is before its signature.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	h, err := findHost()
	if err != nil {
		t.Skip(err)
	}
	paths, err := filepath.Glob(h.modules + "/kernel/fs/overlayfs/overlay.ko*")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	signed, err := unpacked(paths[0])
	require.NoError(t, err)
	module := unsigned(signed)
	require.True(t, bytes.HasPrefix(signed, module))
	require.EqualValues(t, len(module), endOfELF(module))
	require.Equal(t, module, unsigned(module))
	require.Equal(t, []byte("~Module signature appended~\n"), unsigned([]byte("~Module signature appended~\n")))
}
