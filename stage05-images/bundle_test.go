package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// newBundle is a bundle as runc spec writes it, with a program that ends at once.
func newBundle(t *testing.T, change func(*specs.Spec)) (dir string, call func(args ...string) (out, said string, status int)) {
	dir = t.TempDir()
	_, said, status := run(t, "rootfs", filepath.Join(dir, "rootfs"))
	require.Zero(t, status, said)
	spec := &specs.Spec{
		Version: "1.3.0", Hostname: "bundled", Root: &specs.Root{Path: "rootfs", Readonly: true},
		Process: &specs.Process{Args: []string{"sh", "-c", "hostname; id -u"}, Env: []string{"PATH=/bin:/usr/bin:/sbin:/usr/sbin"},
			Cwd: "/", NoNewPrivileges: true,
			Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL"}, Effective: []string{"CAP_KILL"}, Permitted: []string{"CAP_KILL"}},
			Rlimits:      []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 512, Hard: 512}}},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		},
		Linux: &specs.Linux{MaskedPaths: []string{"/proc/keys", "/none"}, ReadonlyPaths: []string{"/proc/sys"}},
	}
	for _, kind := range []specs.LinuxNamespaceType{"pid", "network", "ipc", "uts", "mount"} {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: kind})
	}
	if os.Geteuid() != 0 {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
		spec.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: uint32(os.Geteuid()), Size: 1}}
		spec.Linux.GIDMappings = []specs.LinuxIDMapping{{HostID: uint32(os.Getegid()), Size: 1}}
	}
	if change != nil {
		change(spec)
	}
	data, err := json.Marshal(spec)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644))
	return dir, func(args ...string) (string, string, int) {
		return run(t, append([]string{"runtime", "--root", filepath.Join(dir, "states")}, args...)...)
	}
}

func TestBundleRuns(t *testing.T) {
	dir, call := newBundle(t, func(s *specs.Spec) {
		s.Process.Args[2] = "hostname; ulimit -n; grep -E 'CapBnd|NoNewPrivs' /proc/self/status; echo x >/x; cat /proc/keys; echo $?"
	})
	out, said, status := call("run", "--bundle", dir, "one")
	require.Zero(t, status, said)
	require.Equal(t, "bundled\n512\nCapBnd:\t0000000000000020\nNoNewPrivs:\t1\n0\n", out, said)
	require.Contains(t, said, "Read-only file system")
	out, _, _ = call("list", "-q")
	require.Empty(t, out, "nothing is left")
	out, said, status = call("run", "--dry-run", "--bundle", dir, "one")
	require.Zero(t, status, said)
	require.Contains(t, out, "pivot_root")
}

func TestContainerOfABundleHasALife(t *testing.T) {
	hook := filepath.Join(t.TempDir(), "seen")
	dir, call := newBundle(t, func(s *specs.Spec) {
		s.Process.Args = []string{"sleep", "1000"}
		s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >" + hook}}}}
	})
	pid := filepath.Join(dir, "pid")
	log, err := os.Create(filepath.Join(dir, "log")) // no pipe: the container has it for life
	require.NoError(t, err)
	defer log.Close()
	create := exec.Command(box, "runtime", "--root", filepath.Join(dir, "states"), "create", "--bundle", dir, "--pid-file", pid, "one")
	create.Stdout, create.Stderr = log, log
	require.NoError(t, create.Run())
	t.Cleanup(func() { call("delete", "-f", "one") })
	number, err := os.ReadFile(pid)
	require.NoError(t, err)
	state := func() (s specs.State) {
		out, said, _ := call("state", "one")
		require.NoError(t, json.Unmarshal([]byte(out), &s), said)
		return s
	}
	comm := func() string {
		name, _ := os.ReadFile("/proc/" + string(number) + "/comm")
		return strings.TrimSpace(string(name))
	}
	require.Equal(t, specs.StateCreated, state().Status)
	require.NotEqual(t, "sleep", comm(), "it waits for start")
	_, said, _ := call("create", "--bundle", dir, "one")
	require.Contains(t, said, "already exists")
	_, said, status := call("start", "one")
	require.Zero(t, status, said)
	require.Eventually(t, func() bool { return comm() == "sleep" }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, specs.StateRunning, state().Status)
	out, said, status := call("exec", "one", "sh", "-c", "hostname; grep CapBnd /proc/self/status; exit 7")
	require.Equal(t, 7, status, said)
	require.Equal(t, "bundled\nCapBnd:\t0000000000000020\n", out)
	_, said, _ = call("start", "one")
	require.Contains(t, said, "cannot start an already running container")
	_, said, _ = call("delete", "one")
	require.Contains(t, said, "that is not stopped: running")
	_, said, status = call("kill", "one", "KILL")
	require.Zero(t, status, said)
	require.Eventually(t, func() bool { return state().Status == specs.StateStopped }, 10*time.Second, 5*time.Millisecond)
	_, said, _ = call("kill", "one")
	require.Contains(t, said, "container not running")
	_, said, status = call("delete", "one")
	require.Zero(t, status, said)
	seen, err := os.ReadFile(hook)
	require.NoError(t, err)
	require.Contains(t, string(seen), `"status":"stopped"`)
	_, said, _ = call("state", "one")
	require.Contains(t, said, "container does not exist")
}

func TestBundleIsRefusedByName(t *testing.T) {
	for _, c := range []struct {
		change func(*specs.Spec)
		said   string
	}{
		{func(s *specs.Spec) { s.Process.Args = nil }, "process.args[0]: missing"},
		{func(s *specs.Spec) { s.Version = "2.0.0" }, `ociVersion "2.0.0": not supported`},
		{func(s *specs.Spec) { s.Root = nil }, "root.path: missing"},
		{func(s *specs.Spec) { s.Process.ApparmorProfile = "x" }, `process.apparmorProfile "x": not supported`},
		{func(s *specs.Spec) { s.Linux.Namespaces = s.Linux.Namespaces[:4] }, "there is no mount namespace"},
		{func(s *specs.Spec) { s.Linux.Namespaces[4].Path = "/proc/self/ns/mnt" }, "box's own mount namespace"},
		{func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/dev/null" }, `linux.namespaces[1].path "/dev/null": it is not a namespace`},
		{func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"vm.swappiness": "1"} }, "linux.sysctl[vm.swappiness]: the setting is the host's"},
		{func(s *specs.Spec) { s.Mounts[0].Options = []string{"remount"} }, `mounts[0] (/proc): the option "remount" is not supported`},
		{func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Action: specs.ActNotify}}}
		}, "linux.seccomp.syscalls[0].action: SCMP_ACT_NOTIFY"},
		{func(s *specs.Spec) { s.Process.Terminal = true }, "process.terminal"},
	} {
		dir, call := newBundle(t, c.change)
		log := filepath.Join(dir, "log")
		_, said, status := call("--log", log, "--log-format", "json", "create", "--bundle", dir, "one")
		require.NotZero(t, status, c.said)
		require.Contains(t, said, c.said)
		var line struct{ Level, Msg string }
		data, err := os.ReadFile(log)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &line))
		require.Equal(t, "error", line.Level)
		require.Contains(t, line.Msg, c.said)
		out, _, _ := call("list", "-q")
		require.Empty(t, out, "nothing is left of %s", c.said)
	}
}
