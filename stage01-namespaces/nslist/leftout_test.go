package nslist

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLeftOut(t *testing.T) {
	require.Equal(t, "1 process left out: its namespaces could not be read", LeftOut(1))
	require.Equal(t, "2 processes left out: their namespaces could not be read", LeftOut(2))
}
