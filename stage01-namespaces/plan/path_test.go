package plan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPathIn(t *testing.T) {
	require.Equal(t, "/a", PathIn([]string{"XPATH=/x", "PATH=/a", "PATH=/b"}))
	require.Equal(t, "", PathIn([]string{"PATH="}))
	require.Equal(t, DefaultPath, PathIn(nil))
}

func TestHex(t *testing.T) {
	require.Equal(t, []string{"0", "0x1f"}, []string{Hex(0), Hex(31)})
}
