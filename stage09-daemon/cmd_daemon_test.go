package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

// TestDocker: the docker command of this host, with a daemon of ours.
func TestDocker(t *testing.T) {
	boxtest.Turn(t, 0, 4)
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

// project has what a usual project has: an image that is built, a volume, a service that waits until
// another is healthy, and two networks, on one of which is no way out.
const project = `
services:
  db:
    build: {context: db}
    volumes: ["data:/data"]
    networks: {back: {aliases: [store]}}
  web:
    image: tiny
    command: ["sh", "-c", "echo begun; exec sleep 1000"]
    depends_on: {db: {condition: service_healthy}}
    networks: [front, back]
    ports: ["80"]
volumes: {data: {}}
networks: {front: {}, back: {internal: true}}
`

// TestCompose: a project comes up in order, is looked at, and leaves nothing.
func TestCompose(t *testing.T) {
	boxtest.Turn(t, 1, 4)
	if exec.Command("docker", "compose", "version").Run() != nil {
		t.Skip("there is no docker compose: package docker-compose-plugin")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root may make the networks of a project")
	}
	c := ask(t)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "db"), 0o755))
	for name, text := range map[string]string{"compose.yaml": project, "db/Dockerfile": "FROM tiny\n" +
		"HEALTHCHECK --interval=100ms --start-period=60s --start-interval=100ms CMD test -e /data/ready\n" +
		`CMD ["sh", "-c", "echo made >/data/made; sleep 1; touch /data/ready; echo ready; exec sleep 1000"]`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	compose := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("docker", append([]string{"compose", "--project-name", "shop", "--project-directory", dir, "--ansi", "never"}, args...)...)
		cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+c.socket, "DOCKER_BUILDKIT=0")
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		require.NoError(t, err, "docker compose %v: %s", args, &said)
		return strings.TrimSpace(string(out))
	}
	defer compose("down", "--volumes", "--timeout", "0") // also when something below fails
	compose("up", "--detach")
	require.Equal(t, "running healthy", compose("ps", "--format", "{{.State}} {{.Health}}", "db"))
	require.Contains(t, compose("logs", "--no-log-prefix", "web", "db"), "ready")
	require.Equal(t, "made", compose("exec", "-T", "db", "cat", "/data/made"))
	require.Equal(t, "eth0 eth1 lo", strings.Join(strings.Fields(compose("exec", "-T", "web", "ls", "/sys/class/net")), " "))
	require.Contains(t, c.box("inspect", "-f", "{{json .NetworkSettings.Networks.shop_back.Aliases}}", "shop-db-1"), `"store"`)
	require.Regexp(t, `^0\.0\.0\.0:\d+$`, compose("port", "web", "80"))
	began := c.box("inspect", "-f", "{{.State.StartedAt}}", "shop-web-1")
	compose("restart", "--timeout", "0", "web")
	require.NotEqual(t, began, c.box("inspect", "-f", "{{.State.StartedAt}}", "shop-web-1"))
	id := c.box("ps", "-q", "--filter", "name=db")
	compose("up", "--detach")
	require.Equal(t, id, c.box("ps", "-q", "--filter", "name=db"), "a second up changes nothing")
	compose("down", "--volumes", "--timeout", "0")
	require.Empty(t, c.box("ps", "-aq")+c.box("volume", "ls", "-q")+c.box("network", "ls", "-q"))
}

// TestPython: the Docker SDK for Python.
func TestPython(t *testing.T) {
	boxtest.Turn(t, 2, 4)
	program, err := exec.LookPath("python3")
	if err != nil || exec.Command(program, "-c", "import docker").Run() != nil {
		t.Skip("there is no Docker SDK for Python: package python3-docker")
	}
	out, err := exec.Command(program, "testdata/sdk.py", "unix://"+ask(t).socket).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestGoClients: programs that use the client that Docker itself is made of, and the library that
// starts containers for tests. They check what the kernel says.
func TestGoClients(t *testing.T) {
	boxtest.Turn(t, 3, 4)
	for _, name := range []string{"moby", "testcontainers"} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), name)
			build := exec.Command("go", "run", "-C", "testdata/clients", "-buildvcs=false", "-exec", "install", "./"+name, program)
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				require.Contains(t, string(out), "dial tcp", "%v", build.Args)
				t.Skipf("the modules of this client are not here, and there is no network: %s", out)
			}
			c := ask(t)
			client := exec.Command(program, "unix://"+c.socket)
			if os.Geteuid() == 0 { // the daemon's ports are in its network namespace
				in := fmt.Sprintf("--net=/proc/%d/ns/net", c.daemon.Process.Pid)
				out, err := exec.Command("nsenter", in, "ip", "link", "set", "lo", "up").CombinedOutput()
				require.NoError(t, err, "%s", out)
				client = exec.Command("nsenter", in, program, "unix://"+c.socket)
			}
			client.Env = append(os.Environ(), "DOCKER_CONFIG="+t.TempDir())
			out, err := client.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Empty(t, c.box("ps", "-aq")+c.box("volume", "ls", "-q"))
			require.Empty(t, strings.ReplaceAll(c.box("network", "ls", "-q"), "bridge\n", ""), "a network besides the default one")
		})
	}
}
