package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// sh runs a script in a directory, and returns what it prints.
func sh(t testing.TB, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// tools skips a test where the host lacks a program.
func tools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("this host has no %s", name)
		}
	}
}
