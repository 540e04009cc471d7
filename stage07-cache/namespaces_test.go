package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage01-namespaces/subid"
)

func TestMapText(t *testing.T) {
	require.Equal(t, "0 1000 1\n", mapText(1000, nil))
	require.Equal(t, "0 1000 1\n1 100000 65536\n65537 500000 10\n",
		mapText(1000, []subid.Range{{Start: 100000, Count: 65536}, {Start: 500000, Count: 10}}))
}
