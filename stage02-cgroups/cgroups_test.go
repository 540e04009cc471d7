package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChain(t *testing.T) {
	require.Equal(t, []string{"/a", "/a/b", "/a/b/c"}, chain("/a", "/a/b/c"))
	require.Equal(t, []string{"/a"}, chain("/a", "/a"))
}
