package main

import (
	"bufio"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestServe reads the index at the address that is printed, and ends the command as Ctrl-C does.
func TestServe(t *testing.T) {
	binary, err := program()
	require.NoError(t, err)
	serve := exec.Command(binary, "serve")
	printed, err := serve.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, serve.Start())
	defer serve.Process.Kill() // when a line below has failed; else it has ended
	address, err := bufio.NewReader(printed).ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/[a-z0-9]{26}/\n$`, address)
	answer, err := http.Get(strings.TrimSpace(address))
	require.NoError(t, err)
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Contains(t, string(page), `<a href="01-namespaces.html">Namespaces</a>`)
	require.NoError(t, serve.Process.Signal(syscall.SIGINT))
	require.NoError(t, serve.Wait())
}
