package devnode

import (
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
