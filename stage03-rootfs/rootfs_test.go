package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage01-namespaces/plan"
)

// newTiny makes a root of the host's programs, for every user.
func newTiny(t testing.TB) string {
	t.Helper()
	base, err := os.MkdirTemp("", "box-root")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(base)) })
	require.NoError(t, os.Chmod(base, 0o755))
	dir := filepath.Join(base, "tiny")
	out, stderr, status := run(t, "rootfs", dir)
	require.Zero(t, status, stderr)
	require.Regexp(t, `tiny: \d+ programs of this host and \d+ other files`, out)
	return dir
}

func TestStraceOfRootAgrees(t *testing.T) {
	boxtest.Slow(t)
	dir := newTiny(t)
	asBoth(t, func(t *testing.T, user string) {
		for _, flags := range [][]string{
			nil,
			{"-t", "--workdir", "/tmp"},
			{"--read-only", "--tmpfs", "/run:size=1m", "-v", "/usr:/usr:ro", "--init", "--ulimit", "nofile=64"},
			{"--security-opt", "no-new-privileges", "--cap-drop", "ALL", "--cap-add", "CHOWN", "--sysctl", "net.ipv4.ip_forward=1"},
			{"--privileged"},
		} {
			stderr, calls := traced(t, user, append(append([]string{"run", "--explain", "--rootfs", dir}, flags...), "true")...)
			host, inside := narrated(t, stderr)
			pids := []int{resultOf(t, host, "clone3")}
			for tid, list := range calls {
				if tid != pids[0] && slices.ContainsFunc(list, func(c told) bool { return strings.Contains(c.call, `bin/true", ["true"]`) }) {
					pids = append(pids, tid) // with --init it is a child of the first
				}
			}
			agree(t, inside, calls, pids...)
			hostAgrees(t, host, calls, pids[0])
		}
	})
}

// However many descriptors there are already, the terminal's are not in the way of one another.
func TestManyMountsAndATerminal(t *testing.T) {
	boxtest.Slow(t)
	t.Parallel()
	dir := newTiny(t)
	args := []string{"run", "--rootfs", dir, "-t"}
	for n := range 10 {
		args = append(args, "--tmpfs", fmt.Sprint("/memory", n))
	}
	for n := range 25 {
		args = append(args, "-v", fmt.Sprint("/usr:/usr", n))
		out, stderr, status := run(t, append(args, "tty")...)
		require.Equal(t, "/dev/pts/0\r\n", out, "%d: exit %d, %s", n, status, stderr)
	}
}

func TestAFullDiskStopsNoTerminal(t *testing.T) {
	boxtest.Slow(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	cmd := exec.Command(box, "run", "--rootfs", newTiny(t), "-t", "sh", "-c", "seq 100000; exit 3")
	cmd.Stdout = full
	require.EqualError(t, cmd.Run(), "exit status 3")
}

// A rename anywhere makes openat2(2) give up a way through "..", and ask for another try.
func TestRenamesElsewhereStopNobody(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(dir+"/a", 0o755))
	require.NoError(t, os.WriteFile(dir+"/file", nil, 0o644))
	path := strings.Repeat("a/../", 800) + "file"
	done, ended := make(chan struct{}), make(chan struct{})
	defer func() { close(done); <-ended }()
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
				os.Mkdir(dir+"/x", 0o755)
				os.Rename(dir+"/x", dir+"/y")
				os.Remove(dir + "/y")
			}
		}
	}()
	root, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(root)
	require.Eventually(t, func() bool { // the control: once is not enough
		fd, err := unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH, Resolve: unix.RESOLVE_IN_ROOT})
		unix.Close(fd)
		return err == unix.EAGAIN
	}, time.Minute, time.Microsecond)
	inside := &Container{}
	inside.Rootfs = dir
	for range 300 {
		fd, err := inside.openInside(path, unix.O_PATH)
		require.NoError(t, err)
		unix.Close(fd)
	}
	p := newPlan()
	p.Chdir(dir)
	for range 300 {
		p.Close(p.OpenPath(path, 0, unix.RESOLVE_IN_ROOT).Result())
	}
	p.Execve([]string{"/no/such/program"}, nil, "")
	_, err = (&plan.Narration{}).Start(p.Plan)
	require.ErrorContains(t, err, "execve")
}

func TestTinyLeavesNothingHalfMade(t *testing.T) {
	parent := t.TempDir()
	full := filepath.Join(parent, "full")
	require.NoError(t, os.MkdirAll(filepath.Join(full, "x"), 0o755))
	_, stderr, status := run(t, "rootfs", full)
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "the directory holds something already")

	cmd := exec.Command(box, "rootfs", filepath.Join(parent, "none"))
	cmd.Env = []string{"PATH=/nowhere"}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "this host has no shell in PATH")
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing but full is there")
}

// The host's later mounts appear below a bind only if it is a slave of the host's mount.
func TestPropagation(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts on the host")
	}
	root := filepath.Join(t.TempDir(), "root")
	_, _, status := run(t, "rootfs", root)
	require.Zero(t, status)
	for option, want := range map[string]string{"rprivate": "hidden", "rslave": "seen", "shared": "seen"} {
		cmd := exec.Command("unshare", "-m", "sh", "-c", `set -e; mount -t tmpfs box-outer "$1"; mount --make-shared "$1"; mkdir "$1/sub"
			mkfifo "$1/go"; "$0" run --rootfs "$2" -v "$1:/data:$3" sh -c 'echo up >/data/go; read x </data/go; [ -e /data/sub/seen ] && echo seen || echo hidden' &
			read x <"$1/go"; mount -t tmpfs box-inner "$1/sub"; touch "$1/sub/seen"; echo on >"$1/go"; wait`, box, t.TempDir(), root, option)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, want+"\n", string(out), option)
	}
}

// TestOutlineFitsAScreen: a line for each section, whose counts add up to the calls that
// --explain shows.
func TestOutlineFitsAScreen(t *testing.T) {
	dir := newTiny(t)
	_, all, _ := run(t, "run", "--rootfs", dir, "--explain", "true")
	_, outline, status := run(t, "run", "--rootfs", dir, "--explain=outline", "true")
	require.Zero(t, status, outline)
	lines := strings.Split(strings.TrimSpace(outline), "\n")
	require.LessOrEqual(t, len(lines), 40)
	sum, total := 0, 0
	for i, line := range lines {
		calls := 0
		if _, err := fmt.Sscan(strings.TrimLeft(line, "abcdefghijklmnopqrstuvwxyz ()"), &calls); i < len(lines)-1 {
			require.NoError(t, err, line)
			require.Contains(t, all, "── "+strings.Fields(line)[0]+": ")
			sum += calls
		} else {
			total = calls
		}
	}
	require.Equal(t, strings.Count(all, "│ "), sum, "%s\n%s", outline, all)
	require.Equal(t, sum, total)
}

// TestHostsDevAndSys: -v may show the host's /dev and /sys in place of the container's own, as
// programs that watch a host have it. No further device may be opened, and what is hidden stays so.
func TestHostsDevAndSys(t *testing.T) {
	dir := newTiny(t)
	asBoth(t, func(t *testing.T, user string) {
		inside := func(flags, script string) string {
			args := append(append([]string{"run", "--rootfs", dir}, strings.Fields(flags)...), "sh", "-c", script)
			cmd := exec.Command(box, args...)
			if user != "" {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%v: %s", args, out)
			return string(out)
		}
		require.Contains(t, inside("-v /dev:/dev", "ls /dev"), "\nkmsg\n")
		require.NotContains(t, inside("", "ls /dev"), "kmsg", "the control")
		require.Equal(t, "own\r\n", inside("-t -v /dev:/dev", `[ /proc/self/fd/0 -ef "$(tty)" ] && echo own`))
		if user == "" && os.Geteuid() == 0 {
			open := "(: >>/dev/kmsg) 2>/dev/null && echo opened || echo refused"
			require.Equal(t, "refused\n", inside("-v /dev:/dev", open))
			require.Equal(t, "opened\n", inside("-v /dev:/dev --privileged", open), "the control")
			require.Contains(t, inside("-v /proc:/host/proc:ro -v /:/rootfs:ro", "ls /host/proc /rootfs"), "\n"+fmt.Sprint(os.Getpid())+"\n")
			require.Empty(t, inside("-v "+t.TempDir()+":/sys", "ls /sys"))
		}
		require.Equal(t, "refused\n", inside("-v /sys:/sys:ro", "ls /sys/firmware; mkdir /sys/fs/cgroup/box-x 2>/dev/null || echo refused"))
		require.NotEmpty(t, inside("-v /sys:/tmp:ro", "ls /tmp/firmware"), "the control")
	})
}

// TestSourcesOfMounts: mount(8) and df(1) name new file systems as programs know them.
func TestSourcesOfMounts(t *testing.T) {
	dir := newTiny(t)
	asBoth(t, func(t *testing.T, user string) {
		cmd := exec.Command(box, "run", "--rootfs", dir, "--tmpfs", "/run", "cat", "/proc/self/mounts")
		if user != "" {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := cmd.Output()
		require.NoError(t, err)
		for _, line := range []string{"proc /proc proc", "sysfs /sys sysfs", "tmpfs /dev tmpfs", "devpts /dev/pts devpts", "shm /dev/shm tmpfs", "mqueue /dev/mqueue mqueue", "tmpfs /run tmpfs"} {
			require.Contains(t, string(out), "\n"+line+" ")
		}
		require.NotContains(t, string(out), "\nnone ")
	})
}
