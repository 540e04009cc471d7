package progress

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// shown is what a Display writes to a file.
func shown(t *testing.T, quiet, live bool) string {
	name := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(name)
	require.NoError(t, err)
	d := New(out, quiet, false)
	d.live = live
	d.Event("a", "Waiting")
	d.Update("b", 512, 1024)
	d.Event("a", "Complete")
	d.Finish()
	require.NoError(t, out.Close())
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

func TestLinesOutsideATerminal(t *testing.T) {
	require.Equal(t, "a: Waiting\na: Complete\n", shown(t, false, false))
}

func TestQuiet(t *testing.T) {
	require.Empty(t, shown(t, true, false))
	require.Empty(t, shown(t, true, true))
}

// TestBars holds that a line is redrawn in its place.
func TestBars(t *testing.T) {
	out := shown(t, false, true)
	require.Contains(t, out, "\033[2A\033[2Ka: Complete\n\033[2Kb: [===============               ] 512 B of 1")
	require.Contains(t, out, "\033[2Ka: Waiting\n")
}
