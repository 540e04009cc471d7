package boxtest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// StartRegistry runs Debian's docker-registry on loopback until the test ends, and returns its
// address. auth is the part of its configuration about authentication, "" for none. The test is
// skipped if the program is not installed.
func StartRegistry(t *testing.T, auth string) (address string) {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed: apt-get install docker-registry")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "registry.yml")
	text := fmt.Appendf(nil, "version: 0.1\nlog: {accesslog: {disabled: true}}\n"+
		"storage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: '127.0.0.1:0'}\n%s",
		filepath.Join(dir, "data"), auth)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address, logged := listenAddress(log)
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-logged
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Errorf("docker-registry: %v", err)
		}
	})
	if address == "" {
		t.Fatal("docker-registry has ended early")
	}
	return address
}

// listenAddress reads a log up to the line with the address, "" if there is none, and goes on
// reading in the background until the log ends.
func listenAddress(log io.Reader) (address string, logged chan struct{}) {
	listening := regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)
	logged = make(chan struct{})
	for lines := bufio.NewScanner(log); address == "" && lines.Scan(); {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			address = found[1]
		}
	}
	go func() {
		defer close(logged)
		io.Copy(io.Discard, log) // an error is the end of it, too
	}()
	return address, logged
}
