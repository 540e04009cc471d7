package digest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShort(t *testing.T) {
	require.Equal(t, "0123456789ab", Digest("sha256:0123456789abcdef").Short())
	require.Equal(t, "", Digest("").Short())
}
