package main

import (
	"os"
	"os/exec"
	"path/filepath"
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

// TestNetworkInTheMachine has containers find each other by name where limits are those of
// version 2, and reaches one through a published port.
func TestNetworkInTheMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a virtual machine: left out with -short")
	}
	box := filepath.Join(t.TempDir(), "box")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", box, "../stage08-network")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // there is no other file in the machine
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	script, err := filepath.Abs("testdata/network.sh")
	require.NoError(t, err)
	said, status := workbench(t)("vm", "--file", box, "--file", script, "--", "sh", script, box)
	if strings.Contains(said, "the virtual machine needs more than is installed") {
		t.Skip(strings.TrimSpace(said))
	}
	require.Zero(t, status, said)
	require.Equal(t, strings.Fields("shop 67108864 67108864 page of one page of two page of public shop no cgroup is left"), strings.Fields(said))
}
