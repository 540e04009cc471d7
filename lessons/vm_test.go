package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/stages"
)

// TestInTheMachine holds the whole suite against the last stage where version 2 has all
// controllers. Controls and slow rows are left to the host, which is ten times as fast.
func TestInTheMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a virtual machine: left out with -short")
	}
	root, err := stages.Root()
	require.NoError(t, err)
	all, err := stages.All(root)
	require.NoError(t, err)
	out, status := workbench(t)("check", "--vm", "--no-controls", strconv.Itoa(len(all)))
	if strings.Contains(out, "the virtual machine needs more than is installed") {
		t.Skip(strings.TrimSpace(out))
	}
	require.Zero(t, status, out)
}
