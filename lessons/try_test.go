package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

// TestTryWatches checks a program that does nothing, again when it is saved, and ends by Ctrl-C.
func TestTryWatches(t *testing.T) {
	boxtest.Slow(t, "runs rows of the behaviour suite")
	binary, err := program()
	require.NoError(t, err)
	mine := filepath.Join(t.TempDir(), "box")
	save := func(text string) { require.NoError(t, os.WriteFile(mine, []byte("#!/bin/sh\n"+text+"\n"), 0o755)) }
	save("exit 1")
	try := exec.Command(binary, "try", "1a", "--watch", "--binary", mine)
	try.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	out, err := try.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, try.Start())
	t.Cleanup(func() { try.Process.Kill() })
	lines := bufio.NewScanner(out)
	until := func(words string) {
		for lines.Scan() {
			if strings.Contains(lines.Text(), words) {
				return
			}
		}
		require.Fail(t, "not said", words)
	}
	until("1a is not solved yet")
	until("waiting for a save")
	save("exit 2")
	until("1a is not solved yet")
	until("waiting for a save")
	require.NoError(t, try.Process.Signal(syscall.SIGINT))
	require.NoError(t, try.Wait())
}
