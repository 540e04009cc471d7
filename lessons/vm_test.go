package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// machineStage is the stage whose rows run in the machine: those of later stages want more of
// a host than its initramfs has.
const machineStage = 3

// TestInTheMachine holds the suite against a stage where version 2 has all controllers. Controls and slow rows are left to the host, which is ten times as fast.
func TestInTheMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a virtual machine: left out with -short")
	}
	out, status := workbench(t)("check", "--vm", "--no-controls", strconv.Itoa(machineStage))
	if strings.Contains(out, "the virtual machine needs more than is installed") {
		t.Skip(strings.TrimSpace(out))
	}
	require.Zero(t, status, out)
}
