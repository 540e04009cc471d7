package nearest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTo(t *testing.T) {
	for word, want := range map[string]string{"tinny": "tiny", "tniy": "tiny", "tiny": "tiny", "alpin:3": "alpine:3", "true": "", "x": "", "": "", "busyobx": "busybox", "bsybx": "", "tuna": ""} {
		require.Equal(t, want, To(word, []string{"busybox", "alpine:3", "tiny"}), word)
	}
}

func TestHint(t *testing.T) {
	require.Equal(t, "\n     did you mean tiny?", Hint("tinny", []string{"busybox", "tiny"}))
	for _, word := range []string{"nothing", "tiny"} {
		require.Empty(t, Hint(word, []string{"busybox", "tiny"}))
	}
}
