package nearest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTo(t *testing.T) {
	for word, want := range map[string]string{"tinny": "tiny", "tniy": "tiny", "tiny": "tiny", "alpin:3": "alpine:3", "true": "", "x": "", "": ""} {
		require.Equal(t, want, To(word, []string{"busybox", "alpine:3", "tiny"}), word)
	}
}
