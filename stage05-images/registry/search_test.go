package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplitSearch(t *testing.T) {
	for text, want := range map[string][2]string{
		"alpine":             {"", "alpine"},
		"library/alpine":     {"", "library/alpine"},
		"localhost/app":      {"localhost", "app"},
		"localhost:5000/app": {"localhost:5000", "app"},
		"quay.io/":           {"quay.io", ""},
	} {
		address, word := SplitSearch(text)
		require.Equal(t, want, [2]string{address, word}, text)
	}
}
