package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocker: the docker command of this host, with a daemon of ours.
func TestDocker(t *testing.T) {
	program, err := exec.LookPath("docker")
	if err != nil {
		t.Skip("there is no docker command: package docker.io or docker-cli")
	}
	c := ask(t)
	docker := func(status int, input string, args ...string) string {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+c.socket, "DOCKER_BUILDKIT=0", "DOCKER_CONFIG="+t.TempDir())
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.Output()
		if status == 0 {
			require.NoError(t, err, "docker %v", args)
		} else {
			require.Equal(t, status, cmd.ProcessState.ExitCode(), "docker %v", args)
		}
		return strings.TrimSpace(string(out))
	}
	require.Equal(t, version, docker(0, "", "version", "-f", "{{.Server.Version}}"))
	require.Equal(t, "typed", docker(7, "typed", "run", "--rm", "-i", "--network", "none", "tiny", "sh", "-c", "cat; exit 7"))
	docker(127, "", "run", "--rm", "--network", "none", "tiny", "nosuch")
	docker(0, "", "run", "-d", "--name", "web", "--network", "none", "-e", "A=1", "tiny", "sh", "-c", "echo begun; exec sleep 1000")
	require.Equal(t, "web", docker(0, "", "ps", "--format", "{{.Names}}"))
	require.Equal(t, "1", docker(3, "", "exec", "web", "sh", "-c", "echo $A; exit 3"))
	require.Equal(t, "begun", docker(0, "", "logs", "web"))
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("copied\n"), 0o644))
	docker(0, "", "cp", file, "web:/tmp/file")
	require.Contains(t, docker(0, "", "diff", "web"), "A /tmp/file")
	docker(0, "", "commit", "-c", `CMD ["cat", "/tmp/file"]`, "web", "made")
	require.Equal(t, "copied", docker(0, "", "run", "--rm", "--network", "none", "made"))
	context := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(context, "Dockerfile"), []byte("FROM made\nCOPY Dockerfile /\nCMD [\"head\", \"-1\", \"/Dockerfile\"]\n"), 0o644))
	docker(0, "", "build", "-t", "built", context)
	require.Equal(t, "FROM made", docker(0, "", "run", "--rm", "--network", "none", "built"))
	docker(0, "", "rm", "-f", "web")
	require.Empty(t, docker(0, "", "ps", "-aq"))
}
