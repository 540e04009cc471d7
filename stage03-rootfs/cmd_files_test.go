package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheFirstFlagIsNamed(t *testing.T) {
	for _, flags := range [][]string{
		{"--tmpfs", "/x", "--read-only", "-v", "/a:/b", "-t"}, {"--read-only", "-v", "/a:/b", "-t", "--tmpfs", "/x"},
		{"--tty", "--tmpfs", "/x", "-v", "/a:/b"}, {"--mount", "x", "--device", "/dev/null", "--sysctl", "a=b", "-t"},
	} {
		for range 3 { // of a map, another is the first each time
			_, stderr, status := run(t, append(append([]string{"run"}, flags...), "/bin/true")...)
			require.Equal(t, 125, status)
			require.Contains(t, stderr, "box: "+flags[0]+" needs a root")
		}
	}
}
