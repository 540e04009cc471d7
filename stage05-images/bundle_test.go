package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage02-cgroups/cgroupfs"
)

// bundleRoot is a root for all bundles here, of which none changes a file.
func bundleRoot(t *testing.T) string {
	root := box + "-bundles"
	if _, err := os.Stat(root); err != nil {
		_, said, status := run(t, "rootfs", root)
		require.Zero(t, status, said)
	}
	return root
}

// newBundle is a bundle as runc spec writes it, with a program that ends at once.
func newBundle(t *testing.T, change func(*specs.Spec)) (dir string, call func(args ...string) (out, said string, status int)) {
	dir = t.TempDir()
	spec := &specs.Spec{
		Version: "1.3.0", Hostname: "bundled", Root: &specs.Root{Path: bundleRoot(t), Readonly: true},
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

// TestMaskedPathHasOneCover: a directory is not covered by /dev/null, so that is not opened for it.
func TestMaskedPathHasOneCover(t *testing.T) {
	dir, call := newBundle(t, func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/proc/irq", "/proc/keys", "/proc/fs"} })
	out, said, status := call("run", "--dry-run", "--bundle", dir, "one")
	require.Zero(t, status, said)
	require.Equal(t, 3, strings.Count(out, " reveals the host"), out)
	require.Equal(t, 1, strings.Count(out, `, "null", OPEN_TREE_CLONE`), out)
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
	if os.Geteuid() == 0 {
		_, said, status = call("pause", "one")
		require.Zero(t, status, said)
		require.EqualValues(t, "paused", state().Status)
		_, said, _ = call("exec", "one", "true")
		require.Contains(t, said, "cannot exec in a paused container: resume it first")
		_, said, status = call("resume", "one")
		require.Zero(t, status, said)
		require.Equal(t, specs.StateRunning, state().Status)
	}
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
		{func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/bin", Type: "c", Major: 1, Minor: 3}}
		}, `linux.devices[0]: path "/bin": the root filesystem has something else there`},
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

// TestBundleWithTheCgroupOfAnother: it would end with the first of the two containers to end, so
// runc refuses it as well.
func TestBundleWithTheCgroupOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user may have no cgroup to write to")
	}
	at := fmt.Sprintf("/box-shared-%d", os.Getpid())
	shared := func(s *specs.Spec) {
		s.Linux.CgroupsPath, s.Process.Args = at, []string{"sleep", "1000"}
	}
	dir, call := newBundle(t, shared)
	log, err := os.Create(filepath.Join(dir, "log")) // no pipe: the container has it for life
	require.NoError(t, err)
	defer log.Close()
	running := exec.Command(box, "runtime", "--root", filepath.Join(dir, "states"), "run", "--detach", "--bundle", dir, "one")
	running.Stdout, running.Stderr = log, log
	require.NoError(t, running.Run())
	t.Cleanup(func() { call("delete", "-f", "one") })
	other, callOther := newBundle(t, shared)
	_, said, status := callOther("run", "--bundle", other, "two")
	require.NotZero(t, status)
	require.Contains(t, said, "linux.cgroupsPath "+at+": processes are in this cgroup: 1")
	out, _, _ := call("state", "one")
	require.Contains(t, out, `"status": "running"`)
	out, _, _ = callOther("list", "-q")
	require.Empty(t, out, "nothing is left")
}

// TestRefusedBundleLeavesItsCgroup: what is refused before there is a process has made no cgroup.
func TestRefusedBundleLeavesItsCgroup(t *testing.T) {
	all, err := cgroupfs.Trees(os.Getpid())
	require.NoError(t, err)
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user may have no cgroup to write to")
	}
	name := fmt.Sprintf("box-refused-%d", os.Getpid())
	group := filepath.Join(all[0].Mount, name)
	require.NoError(t, os.Mkdir(group, 0o755))
	defer os.Remove(group)
	dir, call := newBundle(t, func(s *specs.Spec) {
		s.Linux.CgroupsPath = "/" + name
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: filepath.Join(os.TempDir(), name, "such"), Options: []string{"bind"}})
	})
	_, said, status := call("run", "--bundle", dir, "two")
	require.NotZero(t, status)
	require.Contains(t, said, "such: no such file")
	require.DirExists(t, group)
}

func TestDeleteFreesTheNameOfAKilledCreate(t *testing.T) {
	dir, call := newBundle(t, nil)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "states", "one"), 0o711)) // as far as it had come
	_, said, status := call("run", "--bundle", dir, "one")
	require.Equal(t, 1, status)
	require.Contains(t, said, "already exists")
	_, said, status = call("delete", "--force", "one")
	require.Zero(t, status, said)
	_, said, status = call("delete", "--force", "../states")
	require.Zero(t, status, said)
	_, said, status = call("run", "--bundle", dir, "one")
	require.Zero(t, status, said)
}

func TestBundleNamesTheFieldOfAWrongType(t *testing.T) {
	for text, said := range map[string]string{
		`{"process": {"args": ["a", 7]}}`:      "config.json: process.args[1]: it is a number, and has to be string",
		`{"mounts": [{}, {"type": {}}]}`:       "config.json: mounts[1].type: it is a object, and has to be string",
		`{"linux": {"sysctl": {"net.a": []}}}`: "config.json: linux.sysctl.net.a: it is a array, and has to be string",
		`{"root": "`:                           "config.json: unexpected end of JSON input",
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o644))
		_, stderr, status := run(t, "runtime", "run", "--bundle", dir, "one")
		require.Equal(t, 1, status)
		require.Contains(t, stderr, said)
	}
}

// TestBundleGetsWhatItAsksFor holds each part of config.json against what the kernel says inside.
func TestBundleGetsWhatItAsksFor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the parts here are root's; TestBundleRuns has those of every user")
	}
	source := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "file"), nil, 0o644))
	ids := []specs.LinuxIDMapping{{HostID: 100000, Size: 10}, {ContainerID: 10, HostID: 200000, Size: 5}}
	userNamespace := func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
		s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
	}
	bind := func(s *specs.Spec, options ...string) *specs.Mount {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: source, Options: append(options, "rbind")})
		return &s.Mounts[len(s.Mounts)-1]
	}
	errno := uint(unix.ENOSPC)
	seccomp := func(rules ...specs.LinuxSyscall) *specs.LinuxSeccomp {
		return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: rules}
	}
	for _, c := range []struct {
		name   string
		change func(*specs.Spec)
		shell  string
		want   string // of what it prints
	}{
		{"user namespace", userNamespace, "cat /proc/self/uid_map | tr -s ' '; echo >/dev/null && id -u", " 0 100000 10\n 10 200000 5\n0\n"},
		{"idmap", func(s *specs.Spec) {
			m := bind(s, "idmap")
			m.UIDMappings = []specs.LinuxIDMapping{{HostID: 1234, Size: 1}}
			m.GIDMappings = []specs.LinuxIDMapping{{HostID: 4321, Size: 1}}
		}, "stat -c %u:%g /mnt/file", "1234:4321\n"},
		{"ridmap", func(s *specs.Spec) { userNamespace(s); bind(s, "ridmap") }, "stat -c %u:%g /mnt/file", "0:0\n"},
		{"not idmap", func(s *specs.Spec) { userNamespace(s); bind(s) }, "stat -c %u:%g /mnt/file", "65534:65534\n"},
		{"time", func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "time"})
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 5000, Nanosecs: 7}}
		}, "grep mono /proc/self/timens_offsets | tr -s ' '; echo $$", "monotonic 5000 7\n1\n"},
		{"scheduler", func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}
		}, "exec cut -d' ' -f19,41 /proc/self/stat", "5 3\n"},
		{"personality", func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32} },
			"cat /proc/self/personality", "00000008\n"},
		{"shared", func(s *specs.Spec) { s.Linux.RootfsPropagation = "rshared" }, "grep -c ' shared:' /proc/self/mountinfo >/dev/null && echo yes", "yes\n"},
		{"private", func(*specs.Spec) {}, "grep -c ' shared:' /proc/self/mountinfo; true", "0\n"},
		{"unbindable", func(s *specs.Spec) { s.Linux.RootfsPropagation = "unbindable" }, "head -1 /proc/self/mountinfo | cut -d' ' -f7", "unbindable\n"},
		{"seccomp errno", func(s *specs.Spec) {
			s.Linux.Seccomp = seccomp(specs.LinuxSyscall{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno, ErrnoRet: &errno})
		}, "mkdir /dev/x 2>&1; grep Seccomp: /proc/self/status", "mkdir: cannot create directory '/dev/x': No space left on device\nSeccomp:\t2\n"},
		{"seccomp arguments", func(s *specs.Spec) {
			s.Linux.Seccomp = seccomp(specs.LinuxSyscall{Names: []string{"kill"}, Action: specs.ActErrno,
				Args: []specs.LinuxSeccompArg{{Index: 1, Value: uint64(unix.SIGURG), Op: specs.OpEqualTo}}})
			s.Linux.Seccomp.Architectures = []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchAARCH64}
		}, "kill -URG $$ 2>/dev/null || echo refused; kill -CONT $$ && echo not", "refused\nnot\n"},
		{"seccomp kills, without no_new_privs", func(s *specs.Spec) {
			s.Process.NoNewPrivileges = false
			s.Linux.Seccomp = seccomp(specs.LinuxSyscall{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActKillProcess})
		}, "mkdir /dev/x 2>/dev/null; echo $?; grep NoNew /proc/self/status", "159\nNoNewPrivs:\t0\n"},
		{"resources", func(s *specs.Spec) {
			limit, quota, most := int64(64<<20), int64(50000), int64(33)
			s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}, CPU: &specs.LinuxCPU{Quota: &quota},
				Pids: &specs.LinuxPids{Limit: &most}}
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Options: []string{"ro"}})
		}, "cd /sys/fs/cgroup; cat $(find . -name memory.max -o -name memory.limit_in_bytes) $(find . -name pids.max); " +
			"cut -d' ' -f1 $(find . -name cpu.max -o -name cpu.cfs_quota_us)", "67108864\n33\n50000\n"},
		{"devices", func(s *specs.Spec) {
			mode, gid := os.FileMode(0o640), uint32(7)
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/made/zero", Type: "c", Major: 1, Minor: 5, FileMode: &mode, GID: &gid},
				{Path: "/dev/fifo", Type: "p"}}
		}, "stat -c '%F %t:%T %a %u:%g' /dev/made/zero /dev/fifo; dd if=/dev/made/zero bs=4 count=1 2>/dev/null | wc -c",
			"character special file 1:5 640 0:7\nfifo 0:0 666 0:0\n4\n"},
		{"masked below masked, and in a mount", func(s *specs.Spec) {
			bind(s)
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt/file", Type: "bind", Source: "config.json", Options: []string{"bind"}})
			s.Linux.MaskedPaths = []string{"/mnt/file", "/proc/irq", "/proc/irq/0", "/dev/none"}
		}, "wc -c </mnt/file; ls /proc/irq; stat -c %t:%T /mnt/file", "0\n1:3\n"},
		{"rules for devices", func(s *specs.Spec) {
			number := func(n int64) *int64 { return &n }
			s.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"},
				{Allow: true, Type: "c", Major: number(10), Minor: number(229), Access: "rw"},
				{Type: "c", Major: number(1), Minor: number(3), Access: "rwm"}}}
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Options: []string{"ro"}})
		}, "f=/sys/fs/cgroup/devices/devices.list; [ ! -e $f ] || head -n 1 $f | grep -vx 'c 10:229 rw'; head -c 1 /dev/zero | wc -c; cat /dev/null 2>&1; true",
			"1\ncat: /dev/null: Operation not permitted\n"},
		{"no link to nowhere", func(*specs.Spec) {}, "cd /dev; for f in *; do [ -e $f ] || echo $f; done; ls ptmx", "ptmx\n"},
		{"address space", func(s *specs.Spec) {
			s.Process.Rlimits = append(s.Process.Rlimits, specs.POSIXRlimit{Type: "RLIMIT_AS", Soft: 1 << 32, Hard: 1 << 33})
		}, "ulimit -v; ulimit -Hv", "4194304\n8388608\n"},
		{"startContainer", func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/sh", Env: []string{"PATH=/bin"},
				Args: []string{"sh", "-c", `{ grep -o '"status":"[a-z]*"'; hostname; grep -E 'CapEff|NoNew' /proc/self/status; } >/dev/seen`}}}}
		}, "cat /dev/seen", "\"status\":\"created\"\nbundled\nCapEff:\t0000000000000020\nNoNewPrivs:\t1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, call := newBundle(t, func(s *specs.Spec) {
				s.Process.Args[2] = c.shell
				c.change(s)
			})
			out, said, status := call("run", "--bundle", dir, "one")
			require.Zero(t, status, said)
			require.Equal(t, c.want, out, said)
		})
	}
}

func TestBundleJoinsNamespaces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user may join none of root's")
	}
	other := exec.Command("sleep", "1000")
	other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC, Pdeathsig: unix.SIGKILL}
	require.NoError(t, other.Start())
	owner := exec.Command("sleep", "1000")
	ids := []syscall.SysProcIDMap{{HostID: 0, Size: 1}}
	owner.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Pdeathsig: unix.SIGKILL}
	require.NoError(t, owner.Start())
	t.Cleanup(func() {
		other.Process.Kill()
		owner.Process.Kill()
		other.Wait()
		owner.Wait()
	})
	path := func(process *exec.Cmd, kind string) string {
		return fmt.Sprintf("/proc/%d/ns/%s", process.Process.Pid, kind)
	}
	mapped := func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 10}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	}
	for _, c := range []struct {
		kinds  []string // as in /proc/PID/ns
		of     *exec.Cmd
		change func(*specs.Spec)
	}{
		{[]string{"net", "ipc"}, other, func(s *specs.Spec) {
			s.Linux.Namespaces[1].Path, s.Linux.Namespaces[2].Path = path(other, "net"), path(other, "ipc")
		}},
		{[]string{"pid"}, other, func(s *specs.Spec) { s.Linux.Namespaces[0].Path = path(other, "pid") }},
		{[]string{"net"}, other, func(s *specs.Spec) { s.Linux.Namespaces[1].Path = path(other, "net"); mapped(s) }},
		{[]string{"user"}, owner, func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "user", Path: path(owner, "user")})
		}},
	} {
		want := ""
		dir, call := newBundle(t, func(s *specs.Spec) {
			s.Process.Args[2] = "for kind in " + strings.Join(c.kinds, " ") + "; do readlink /proc/self/ns/$kind; done; grep CapBnd /proc/self/status; hostname"
			c.change(s)
		})
		for _, kind := range c.kinds {
			link, err := os.Readlink(path(c.of, kind))
			require.NoError(t, err)
			want += link + "\n"
		}
		out, said, status := call("run", "--bundle", dir, "one")
		require.Zero(t, status, said)
		require.Equal(t, want+"CapBnd:\t0000000000000020\nbundled\n", out, "%v: %s", c.kinds, said)
	}
}

func TestBundleHooks(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen")
	note := func(kind string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c",
			`echo ` + kind + ` $(grep -o '"status":"[a-z]*"') $(test $(readlink /proc/self/ns/mnt) = $OURS && echo here || echo inside) >>` + seen},
			Env: []string{"PATH=/bin:/usr/bin", "OURS=" + ownMounts(t)}}}
	}
	dir, call := newBundle(t, func(s *specs.Spec) {
		//lint:ignore SA1019 deprecated, and still what engines write
		s.Hooks = &specs.Hooks{Prestart: note("prestart"), CreateRuntime: note("createRuntime"), CreateContainer: note("createContainer"),
			Poststart: note("poststart"), Poststop: note("poststop")}
	})
	_, said, status := call("run", "--bundle", dir, "one")
	require.Zero(t, status, said)
	order, err := os.ReadFile(seen)
	require.NoError(t, err)
	require.Equal(t, `prestart "status":"creating" here
createRuntime "status":"creating" here
createContainer "status":"creating" inside
poststart "status":"running" here
poststop "status":"stopped" here
`, string(order))
	for _, kind := range []string{"createRuntime", "createContainer", "startContainer", "poststart"} {
		dir, call = newBundle(t, func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{}
			fails := []specs.Hook{{Path: "/bin/false"}}
			*map[string]*[]specs.Hook{"createRuntime": &s.Hooks.CreateRuntime, "createContainer": &s.Hooks.CreateContainer,
				"startContainer": &s.Hooks.StartContainer, "poststart": &s.Hooks.Poststart}[kind] = fails
		})
		_, said, status = call("run", "--bundle", dir, "one")
		require.Equal(t, 1, status, said)
		require.Contains(t, said, "hook "+kind+" /bin/false: exit status 1")
		out, _, _ := call("list", "-q")
		require.Empty(t, out, "nothing is left")
	}
}

// ownMounts is the test's own mount namespace.
func ownMounts(t *testing.T) string {
	link, err := os.Readlink("/proc/self/ns/mnt")
	require.NoError(t, err)
	return link
}

func TestBundleKeepsDescriptors(t *testing.T) {
	dir, _ := newBundle(t, func(s *specs.Spec) { s.Process.Args[2] = "cat <&3; [ -e /proc/$$/fd/4 ] || echo no more" })
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("passed on\n"), 0o600))
	passed, err := os.Open(file)
	require.NoError(t, err)
	defer passed.Close()
	cmd := exec.Command(box, "runtime", "--root", filepath.Join(dir, "states"), "run", "--preserve-fds", "1", "--bundle", dir, "one")
	cmd.ExtraFiles = []*os.File{passed, passed}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "passed on\nno more\n", string(out))
}

func TestBundleThatCannotBeExecutedSaysSo(t *testing.T) {
	source := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(source, []byte("\n"), 0o755))
	dir, call := newBundle(t, func(s *specs.Spec) {
		s.Process.Args = []string{"/dev/bad"}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/dev/bad", Type: "bind", Source: source, Options: []string{"bind"}})
	})
	log := filepath.Join(dir, "log")
	file, err := os.Create(log)
	require.NoError(t, err)
	defer file.Close()
	create := exec.Command(box, "runtime", "--root", filepath.Join(dir, "states"), "create", "--bundle", dir, "one")
	create.Stdout, create.Stderr = file, file
	require.NoError(t, create.Run())
	t.Cleanup(func() { call("delete", "-f", "one") })
	_, said, status := call("start", "one")
	require.Zero(t, status, said)
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), "box: execve /dev/bad: not a program for this machine")
	}, 10*time.Second, 5*time.Millisecond)
}

func TestRuntimeVersionIsAsEnginesReadIt(t *testing.T) {
	runc := filepath.Join(t.TempDir(), "runc")
	require.NoError(t, os.Symlink(box, runc))
	out, err := exec.Command(runc, "--version").Output()
	require.NoError(t, err)
	require.Regexp(t, "^box version [0-9.]+\nspec: 1[.][0-9.]+\n", string(out))
}

func TestBundleSendsItsTerminal(t *testing.T) {
	dir, _ := newBundle(t, func(s *specs.Spec) {
		s.Process.Terminal, s.Process.ConsoleSize = true, &specs.Box{Height: 33, Width: 101}
		s.Process.Args[2] = "stty size; tty; read line; echo got $line; exit 7"
	})
	short := filepath.Join("/tmp", filepath.Base(t.TempDir())+strconv.Itoa(os.Getpid())) // a socket's path has 107 bytes
	t.Cleanup(func() { os.Remove(short) })
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	require.NoError(t, err)
	defer listener.Close()
	cmd := exec.Command(box, "runtime", "--root", filepath.Join(dir, "states"), "run", "--console-socket", short, "--bundle", dir, "one")
	require.NoError(t, cmd.Start())
	require.NoError(t, listener.SetDeadline(time.Now().Add(time.Minute)))
	conn, err := listener.AcceptUnix()
	require.NoError(t, err)
	defer conn.Close()
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(make([]byte, 64), control)
	require.NoError(t, err)
	messages, err := unix.ParseSocketControlMessage(control[:n])
	require.NoError(t, err)
	fds, err := unix.ParseUnixRights(&messages[0])
	require.NoError(t, err)
	master := os.NewFile(uintptr(fds[0]), "master")
	defer master.Close()
	lines := bufio.NewReader(master)
	size, _ := lines.ReadString('\n')
	name, _ := lines.ReadString('\n')
	require.Equal(t, "33 101\r\n/dev/pts/0\r\n", size+name)
	_, err = master.WriteString("typed\n") // only now, because it is echoed at once
	require.NoError(t, err)
	shown, _ := io.ReadAll(lines) // it ends with EIO
	require.Contains(t, string(shown), "got typed\r\n")
	var ended *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &ended)
	require.Equal(t, 7, ended.ExitCode())
}

// probeScript prints what a process sees of its container, in the words of which the file system
// that holds the root is none.
const probeScript = `hostname; id; pwd; env | sort; umask; cat /etc/hostname /etc/hosts /proc/sys/net/ipv4/ip_unprivileged_port_start
grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status
cut -d' ' -f2 /proc/self/mounts | grep -v ^/sys/fs/cgroup/ | sort; ls /dev | grep -v core`

// TestOtherRuntimesTakeABundleOfAnImage compares what a process sees in box run with what it sees in
// the runtimes that are installed.
func TestOtherRuntimesTakeABundleOfAnImage(t *testing.T) {
	dir := t.TempDir()
	want, said, status := run(t, "run", "--rm", "tiny", "sh", "-c", probeScript)
	require.Zero(t, status, said)
	_, said, status = run(t, "bundle", "tiny", dir, "sh", "-c", probeScript)
	require.Zero(t, status, said)
	for _, engine := range []string{"box", "crun", "runc"} {
		t.Run(engine, func(t *testing.T) {
			if _, err := exec.LookPath(engine); err != nil && engine != "box" {
				t.Skip("it is not installed")
			}
			argv := []string{engine, "--root", filepath.Join(t.TempDir(), "states"), "run", "--bundle", dir, filepath.Base(filepath.Dir(dir)) + engine}
			if engine == "box" {
				argv = append([]string{box, "runtime"}, argv[1:]...)
			}
			out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
			if engine == "crun" && err != nil && strings.Contains(string(out), "cgroups in hybrid mode not supported") {
				if os.Geteuid() != 0 {
					t.Skip("crun does not run on this host's cgroups, and only root can hide a part of them")
				}
				hidden := []string{"-m", "sh", "-c", `umount /sys/fs/cgroup/unified && exec "$@"`, "sh"}
				out, err = exec.Command("unshare", append(hidden, argv...)...).CombinedOutput()
			}
			require.NoError(t, err, string(out))
			require.Equal(t, want, string(out))
		})
	}
}

func TestBundleOfAnImageIsWholeOrNotThere(t *testing.T) {
	_, said, status := run(t, "run", "--rm", "tiny", "true")
	require.Zero(t, status, said)
	dir := t.TempDir()
	full, file := filepath.Join(dir, "full"), filepath.Join(dir, "full", "file")
	require.NoError(t, os.Mkdir(full, 0o755))
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	for _, c := range []struct{ image, dir, said string }{
		{"127.0.0.1:1/none", "new", "there is no image 127.0.0.1:1/none:latest here"},
		{"Tiny", "new", "Tiny"},
		{"/bin/sh", "new", "a bundle is made of an image"},
		{"tiny", "full", "it is there already, and is not an empty directory"},
		{"tiny", "full/file", "it is there already, and is not an empty directory"},
		{"tiny", "none/new", "parent directory " + filepath.Join(dir, "none") + " does not exist"},
	} {
		_, said, status := run(t, "bundle", c.image, filepath.Join(dir, c.dir))
		require.Equal(t, 1, status)
		require.Contains(t, said, c.said)
	}
	image := filepath.Join(dir, "image.tar")
	require.NoError(t, exec.Command("sh", "-ec", `cd "$1"; mkdir etc; echo damaged:x:none:0::/: >etc/passwd; tar cf image.tar etc; rm -r etc`, "sh", dir).Run())
	_, said, status = run(t, "import", image, "damaged")
	require.Zero(t, status, said)
	t.Cleanup(func() { run(t, "rmi", "damaged") })
	_, said, status = run(t, "bundle", "damaged", filepath.Join(dir, "new"))
	require.Equal(t, 1, status, "it has no command: "+said)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the directory full and the archive, nothing half-written")
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.Mkdir(empty, 0o700))
	_, said, status = run(t, "bundle", "tiny", empty)
	require.Zero(t, status, said)
	require.FileExists(t, filepath.Join(empty, "config.json"))
}

// TestBundleOfAnImageHasItsFiles has a file deleted by a layer, and owners and modes that a user's
// single id cannot keep.
func TestBundleOfAnImageHasItsFiles(t *testing.T) {
	boxtest.Turn(t, 2, 4)
	script := `"$box" run --name made tiny sh -c 'rm /bin/wc; echo x >/root/x; chown 7:8 /root/x; chmod 4710 /root/x; chmod 2 /tmp'
		"$box" commit made changed >/dev/null; "$box" bundle changed b sh
		stat -c '%a %u %g' b/rootfs/root/x b/rootfs/tmp; ls b/rootfs/bin/wc 2>/dev/null || echo gone
		id -u; "$box" runtime --root states run -b b files-$$ <<-END
			stat -c '%a %u %g' /root/x; echo last
		END
		"$box" rm made >/dev/null; rm -rf b`
	t.Run("root", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("a test of root's")
		}
		dir := t.TempDir()
		require.Equal(t, "4710 7 8\n2 0 0\ngone\n0\n4710 7 8\nlast\n", sh(t, dir, "export BOX_ROOT=$PWD/store box="+box+"\n"+script))
	})
	t.Run("a user with subordinate ids", func(t *testing.T) {
		out := asManyUsers(t, script)
		fields := strings.Fields(out)
		require.Len(t, fields, 12, out)
		uid := fields[7]
		require.Equal(t, []string{"4710", uid}, fields[:2], out)
		require.Equal(t, []string{"2", uid}, fields[3:5], out)
		require.Equal(t, "gone", fields[6])
		require.Equal(t, []string{"4710", "0", "0", "last"}, fields[8:])
	})
}

// TestBundleOfManyUsers has ids of /etc/subuid, which an ordinary user may not map alone.
func TestBundleOfManyUsers(t *testing.T) {
	boxtest.Turn(t, 1, 4)
	out := asManyUsers(t, `
		"$box" bundle tiny b sh -c 'tr -s " " </proc/self/uid_map; tr -s " " </proc/self/gid_map | tail -n 1; touch /tmp/f; chown 33:44 /tmp/f; stat -c %u:%g /tmp/f'
		sed -i -z 's/"uidMappings": \[/&{"containerID": 1, "hostID": 100000, "size": 1000},/; s/"gidMappings": \[/&{"containerID": 1, "hostID": 100000, "size": 1000},/' b/config.json
		"$box" runtime --root states run -b b many-$$
		stat -c %u:%g b/rootfs/tmp/f; id -u
		sed -i 's/"hostID": 100000/"hostID": 5000/' b/config.json
		"$box" runtime --root states run -b b other-$$ 2>&1 || echo status $?
		ls states`)
	lines := strings.Split(out, "\n")
	require.Greater(t, len(lines), 6, out)
	uid := lines[5]
	require.Equal(t, []string{" 1 100000 1000", " 0 " + uid + " 1", " 0 65534 1", "33:44", "100032:100043", uid}, lines[:6])
	require.Contains(t, out, "newuidmap: uid range [1-1001) -> [5000-6000) not allowed")
	require.Equal(t, "status 1", strings.TrimSpace(out[strings.LastIndex(out, "status"):]), "no state is left")
}
