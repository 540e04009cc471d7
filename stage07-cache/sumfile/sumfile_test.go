package sumfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sums")
	known := map[string]Sum{
		"a":                {Stat{1, 2, 3, 4}, strings.Repeat("0", 64)},
		"with space\nline": {Stat{-1, 1 << 62, 0, 1<<64 - 1}, strings.Repeat("f", 64)},
		// Each byte takes four in the line: paths may be longer than the kernel takes at once.
		strings.Repeat("\x01", 1<<15): {Stat{1, 2, 3, 4}, strings.Repeat("1", 64)},
	}
	require.Empty(t, Read(path))
	require.NoError(t, Write(path, known))
	require.Equal(t, known, Read(path))
}

func TestDamagedLinesAreLeftOut(t *testing.T) {
	path, digest := filepath.Join(t.TempDir(), "sums"), strings.Repeat("0", 64)
	require.NoError(t, os.WriteFile(path, []byte("x\n1 2 3 4 short \"b\"\n1 2 x 4 "+digest+" \"c\"\n1 2 3 4 "+digest+" d\n1 2 3 4 "+digest+" \"a\"\n"), 0o644))
	require.Equal(t, map[string]Sum{"a": {Stat{1, 2, 3, 4}, digest}}, Read(path))
}
