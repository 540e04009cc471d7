package devnode

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSelect(t *testing.T) {
	nodes, err := Select(nil, false)
	require.NoError(t, err)
	require.Equal(t, Default, nodes)
	nodes, err = Select([]string{"/dev/zero:/dev/null:r", "/dev/full:/dev/x"}, false)
	require.NoError(t, err)
	require.Len(t, nodes, len(Default)+1)
	require.Equal(t, "/dev/zero", nodes[len(nodes)-2].Source, "in place of the default")
	_, err = Select([]string{"/dev/zero:x"}, false)
	require.ErrorContains(t, err, "--device /dev/zero:x: give the device")
}

// TestLinks: each of them leads to something on this host too, whose own /dev may have others.
func TestLinks(t *testing.T) {
	var names []string
	for _, link := range Links() {
		names = append(names, link.Name)
		if link.Name != "ptmx" { // which is relative to /dev
			_, err := os.Lstat(link.Target)
			require.NoError(t, err)
		}
	}
	require.Subset(t, names, []string{"fd", "stdin", "stdout", "stderr", "ptmx"})
	_, err := os.Stat("/proc/kcore")
	require.Equal(t, err == nil, slices.Contains(names, "core"))
}
