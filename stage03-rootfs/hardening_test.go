package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

// Attacks that need a process beside the container. Where the wall is not a flag, the
// control is a box that was built without it.

// without builds box with one piece of source replaced, in a directory of its own.
func without(t *testing.T, file, old, new string) string {
	t.Helper()
	source, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(source, []byte(old)), "%s has %q once", file, old)
	dir := t.TempDir()
	changed := filepath.Join(dir, file)
	require.NoError(t, os.WriteFile(changed, bytes.Replace(source, []byte(old), []byte(new), 1), 0o644))
	path, err := filepath.Abs(file)
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay"), overlay, 0o644))
	broken := filepath.Join(dir, "box")
	require.NoError(t, install(".", broken, "-overlay", filepath.Join(dir, "overlay")))
	return broken
}

func needsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user's container cannot write what belongs to root: run this as root")
	}
}

// withAttacker makes a root with the attacks of the workbench in it.
func withAttacker(t *testing.T) string {
	dir := newTiny(t)
	require.NoError(t, install("stagebox/lessons", filepath.Join(dir, "stagebox-attack")))
	return dir
}

// inside starts a container that has printed a line, and returns its command's pid. What it
// prints until end is called is what end returns.
func inside(t *testing.T, binary string, args ...string) (pid int, end func() string) {
	cmd := exec.Command(binary, append([]string{"run"}, args...)...)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		io.Copy(io.Discard, out) // PID 1 dies after box, and until it has closed this it goes on
		cmd.Wait()
	})
	lines := bufio.NewReader(out)
	_, err = lines.ReadString('\n')
	require.NoError(t, err)
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", cmd.Process.Pid))
	require.NoError(t, err)
	for _, file := range tasks {
		children, _ := os.ReadFile(file)
		if fields := strings.Fields(string(children)); len(fields) > 0 {
			pid, err = strconv.Atoi(fields[0])
			require.NoError(t, err)
		}
	}
	require.NotZero(t, pid)
	return pid, func() string {
		cmd.Process.Kill() // and PID 1 with it
		said, err := io.ReadAll(lines)
		require.NoError(t, err)
		return string(said)
	}
}

// overwritten runs an image's program that is really box, once by its name and once as the
// interpreter of a script, while a process inside waits for box's file (CVE-2019-5736).
// It tells whether the file of this box was changed.
func overwritten(t *testing.T, root, binary string) bool {
	mine := filepath.Join(t.TempDir(), "mine")
	data, err := os.ReadFile(binary)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(mine, data, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "script"), []byte("#!/proc/self/exe\n"), 0o755))
	pid, end := inside(t, box, "--rootfs", root, "/stagebox-attack", "overwrite")
	for range 5 {
		for _, entry := range []string{"/script", "/proc/self/exe"} {
			exec.Command(mine, "exec", strconv.Itoa(pid), entry).Run()
			for holds(t, pid, mine) { // it writes as soon as nobody runs the file, or gives up after 3 s
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	said := end() // there is nobody left whom it could wait for
	now, err := os.ReadFile(mine)
	require.NoError(t, err)
	require.Equal(t, strings.HasPrefix(said, "got in"), !bytes.Equal(data, now), said)
	return !bytes.Equal(data, now)
}

// holds reports whether a process has a file open.
func holds(t *testing.T, pid int, file string) bool {
	is, err := os.Stat(file)
	require.NoError(t, err)
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	return slices.ContainsFunc(open, func(fd string) bool {
		other, err := os.Stat(fd) // it may be closed again
		return err == nil && os.SameFile(is, other)
	})
}

// inTries reports whether something that is a race, and may be lost, works once in n tries.
func inTries(n int, works func() bool) bool {
	for range n {
		if works() {
			return true
		}
	}
	return false
}

func TestBoxCannotBeOverwritten(t *testing.T) {
	boxtest.Slow(t)
	root := withAttacker(t)
	require.False(t, overwritten(t, root, box))
	unsealed := without(t, "self.go", "func seal() error {\n", "func seal() error {\n\tif true {\n\t\treturn nil\n\t}\n")
	require.True(t, inTries(10, func() bool { return overwritten(t, root, unsealed) }), "the control: a box that runs from its own file") // almost always the first
}

// TestIncomingCannotBeTraced is CVE-2016-9962: exec's process is slowed down by a long list
// of directories to search, so that there is time to get hold of it.
func TestIncomingCannotBeTraced(t *testing.T) {
	boxtest.Slow(t)
	needsRoot(t)
	root := withAttacker(t)
	const most = 30 // where nothing forbids it, one in some six is caught: once in 200 times, none of 30
	traced := func(binary string) bool {
		pid, end := inside(t, binary, "--rootfs", root, "/stagebox-attack", "traceIncoming")
		arrivals := 0
		for ; arrivals < most; arrivals++ {
			exec.Command(binary, "exec", strconv.Itoa(pid), "stagebox-no-such-program").Run()
			if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err != nil {
				break
			}
		}
		t.Logf("%d came in", arrivals)
		return strings.HasPrefix(end(), "got in")
	}
	require.False(t, traced(box))
	dumpable := without(t, "hardening.go", `plan.Sym(0, "SUID_DUMP_DISABLE")`, `plan.Sym(1, "SUID_DUMP_USER")`)
	require.True(t, inTries(10, func() bool { return traced(dumpable) }), "the control: a process that may be looked into") // almost always the first
}

// TestOpenDescriptorIsNoWayOut is CVE-2024-21626: the caller has left the host's root open,
// and the directory to start in leads to it through /proc/self/fd.
func TestOpenDescriptorIsNoWayOut(t *testing.T) {
	boxtest.Slow(t)
	t.Parallel()
	follows := without(t, "mounts.go", "resolve |= unix.RESOLVE_NO_MAGICLINKS", "")
	asBoth(t, func(t *testing.T, user string) {
		root := newTiny(t)
		here, err := os.Getwd()
		require.NoError(t, err)
		out := func(binary string) bool {
			for _, dir := range []string{filepath.Dir(binary), filepath.Dir(filepath.Dir(binary))} {
				if user != "" && binary != box {
					require.NoError(t, os.Chmod(dir, 0o755)) // for the user to come to it
				}
			}
			script := `exec 8</; exec "$0" run --rootfs "$1" --workdir /proc/self/fd/8 ls -d "./$2"`
			args := []string{"sh", "-c", script, binary, root, here}
			if user != "" {
				args = append([]string{"setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups"}, args...)
			}
			return exec.Command(args[0], args[1:]...).Run() == nil
		}
		require.False(t, out(box))
		left, err := os.ReadDir(root + "/proc")
		require.NoError(t, err)
		require.Empty(t, left, "no directory was made for it below what /proc lies on")
		require.True(t, out(follows), "the control: a box that follows magic links")
	})
}

// TestSwappedLinks has a directory of the root, or of a volume, change into a link to the
// host's files and back, while box mounts on it and below it (CVE-2021-30465, CVE-2025-31133
// and its like). In the volume, two containers that share it do that.
func TestSwappedLinks(t *testing.T) {
	boxtest.Slow(t)
	t.Parallel()
	root := withAttacker(t)
	asBoth(t, func(t *testing.T, user string) {
		base, outside := newTiny(t), t.TempDir()
		shared := filepath.Dir(base) + "/shared"
		require.NoError(t, os.MkdirAll(shared+"/data", 0o755))
		for _, dir := range []string{outside, base, shared, shared + "/data"} {
			require.NoError(t, os.Chmod(dir, 0o777)) // for box to make what it mounts on
		}
		start := func(args ...string) error {
			if user != "" {
				args = append([]string{"setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups"}, args...)
			}
			out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			require.NotContains(t, string(out), "panic")
			return err
		}
		made := func() bool {
			left, err := os.ReadDir(outside)
			require.NoError(t, err)
			return len(left) > 0
		}
		for _, swapped := range []string{shared + "/data", base + "/etc", base + "/dev", base + "/proc", base + "/sys"} {
			link := swapped + ".link"
			require.NoError(t, os.Symlink(outside, link))
			t.Run(filepath.Base(swapped), func(t *testing.T) {
				attackers := 1
				if swapped == shared+"/data" {
					attackers = 2
				}
				for range attackers {
					dir := filepath.Dir(swapped)
					inside(t, box, "--rootfs", root, "-v", dir+":/shared", "/stagebox-attack", "swap", "/shared/"+filepath.Base(swapped), "/shared/"+filepath.Base(link))
				}
				worked := 0
				for i := 0; i < 10 || worked == 0 && i < 200; i++ {
					if start(box, "run", "--rootfs", base, "-v", shared+":/shared", "-v", "/usr:/shared/data/below", "sh", "-c", ": >/etc/hosts") == nil {
						worked++
					}
				}
				require.NotZero(t, worked, "some found the directory in its place")
				require.False(t, made(), "nothing was made outside")
			})
			if info, err := os.Lstat(swapped); err == nil && info.Mode()&os.ModeSymlink != 0 {
				require.NoError(t, unix.Renameat2(unix.AT_FDCWD, swapped, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE))
			}
		}
		t.Run("the control: who looks first and uses the name then", func(t *testing.T) {
			inside(t, box, "--rootfs", root, "-v", shared+":/shared", "/stagebox-attack", "swap", "/shared/data", "/shared/data.link")
			for end := time.Now().Add(time.Minute); !made() && time.Now().Before(end); { // some thousand times are enough
				if info, err := os.Lstat(shared + "/data"); err == nil && info.IsDir() {
					os.Mkdir(shared+"/data/below", 0o755) // it exists in the directory, and not behind the link
				}
			}
			require.True(t, made())
		})
	})
}
