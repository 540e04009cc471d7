package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkCloneToExecve takes the time from clone3 to execve, and that of the same calls
// in C, each in a process of its own and turn by turn: the machine's mood is the same for both.
func BenchmarkCloneToExecve(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("root only: the C program makes no user namespace")
	}
	c := filepath.Join(b.TempDir(), "clone")
	if out, err := exec.Command("cc", "-O2", "-o", c, "testdata/clone.c").CombinedOutput(); err != nil {
		b.Skipf("no C compiler: %v %s", err, out)
	}
	timed := filepath.Join(b.TempDir(), "box")
	buildTimed(b, timed)
	var ours, theirs []float64
	for b.Loop() {
		ours = append(ours, microseconds(b, timed))
		theirs = append(theirs, microseconds(b, c, "1"))
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	b.ReportMetric(ours[len(ours)/2], "box-µs")
	b.ReportMetric(theirs[len(theirs)/2], "C-µs")
	b.ReportMetric(ours[len(ours)/2]/theirs[len(theirs)/2], "ratio")
}

// microseconds runs a program that prints them.
func microseconds(b *testing.B, argv ...string) float64 {
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	require.NoError(b, err)
	us, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	require.NoError(b, err)
	return us
}

// buildTimed builds box with testdata/launch.go in it, and testdata/timed.go in its plan.
func buildTimed(b *testing.B, binary string) {
	dir, err := os.Getwd()
	require.NoError(b, err)
	overlay := filepath.Join(b.TempDir(), "overlay.json")
	text := fmt.Sprintf(`{"Replace": {%q: %q, %q: %q}}`,
		filepath.Join(dir, "launch.go"), filepath.Join(dir, "testdata/launch.go"),
		filepath.Join(dir, "plan/timed.go"), filepath.Join(dir, "testdata/timed.go"))
	require.NoError(b, os.WriteFile(overlay, []byte(text), 0o600))
	build := exec.Command("go", "build", "-buildvcs=false", "-overlay", overlay, "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(b, err, string(out))
}
