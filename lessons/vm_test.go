package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInTheMachine holds the suite against stages where version 2 has all controllers: the
// third, and what the last adds on the network. It all takes ten minutes there, which is
// what check --vm is for. Controls and slow rows are left to the host.
func TestInTheMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a virtual machine: left out with -short")
	}
	lessons := workbench(t)
	for _, args := range [][]string{{"3"}, {"--only", "network", "8"}} {
		out, status := lessons(append([]string{"check", "--vm", "--no-controls"}, args...)...)
		if strings.Contains(out, "the virtual machine needs more than is installed") {
			t.Skip(strings.TrimSpace(out))
		}
		require.Zero(t, status, out)
	}
}
