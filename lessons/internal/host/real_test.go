package host

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// These tests look at the machine that they run on. What it offers is not theirs to
// assert; that the answers agree with each other, and that nothing is left, is.

func requireRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become another user or to make namespaces without a user namespace")
	}
}

// examine runs this test binary as another process and returns its findings by check.
func examine(t *testing.T, attr *syscall.SysProcAttr) map[string]Finding {
	cmd := exec.Command("/proc/self/exe", "examine")
	cmd.SysProcAttr = attr
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	return findings(t, cmd)
}

// findings runs a command that prints a report as JSON.
func findings(t *testing.T, cmd *exec.Cmd) map[string]Finding {
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var stages []Stage
	require.NoError(t, json.Unmarshal(out, &stages))
	found := map[string]Finding{}
	for _, stage := range stages {
		for _, r := range stage.Results {
			found[r.Name] = r.Finding
		}
	}
	return found
}

func TestHereAsWhoeverRunsTheTests(t *testing.T) {
	found := examine(t, nil)
	require.Contains(t, found, "go")
	require.Equal(t, found["mount"].State != No, found["fresh /proc"].Text != "", "/proc is tried when mounting works")
	require.Contains(t, found, "pressure")
	require.NotContains(t, found["kernel"].Text, "cannot be read")
}

func TestHereAsAnOrdinaryUser(t *testing.T) {
	requireRoot(t)
	found := examine(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
	require.NotContains(t, found, "ordinary users", "that is for root")
	require.NotContains(t, found, "forwarding", "that is for root")
	require.Equal(t, No, found["state directory"].State, "the HOME of this test is root's")
	if found["namespaces"].State == No {
		t.Skip("no user namespaces for ordinary users here: ", found["namespaces"].Text)
	}
	require.NotEqual(t, Silent, found["veth"].State)
}

// A namespace that is forbidden here is found to be, and the sysctl named.
func TestALimitOfZeroIsFound(t *testing.T) {
	requireUserNamespaces(t)
	inside := nested(t, "echo 0 >/proc/sys/user/max_net_namespaces && exec /proc/self/fd/3 examine")
	require.Equal(t, No, inside["namespaces"].State)
	require.Contains(t, inside["namespaces"].Text, "net: user.max_net_namespaces is 0")
	require.NotContains(t, inside, "veth", "not reached")
}

func requireUserNamespaces(t *testing.T) {
	if errno := tryClone(unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID); errno != 0 {
		t.Skip("needs user namespaces with mount and PID namespaces inside: ", errno)
	}
}

// nested runs a shell command in a user namespace, where the binary is descriptor 3, and
// returns the findings that it prints.
func nested(t *testing.T, command string) map[string]Finding {
	self, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer self.Close()
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.ExtraFiles = []*os.File{self}
	cmd.SysProcAttr = cloneAttr(unix.CLONE_NEWUSER)
	return findings(t, cmd)
}

// The whole is run in namespaces of its own, where nothing else comes and goes: / shared,
// so that a mount that escaped would show, and this process the only one.
func TestNothingIsLeft(t *testing.T) {
	requireRoot(t)
	const flag = "STAGEBOX_ALONE"
	if os.Getenv(flag) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestNothingIsLeft$", "-test.v")
		cmd.Env = append(os.Environ(), flag+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestNothingIsLeft")
		return
	}
	require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	leaveOthersMounts(t)
	require.NoError(t, unix.Mount("proc", "/proc", "proc", 0, ""))
	require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""))
	before := surroundings(t)
	h, err := Here(Self{"probe"})
	require.NoError(t, err)
	require.True(t, h.AsRoot["pivot_root"].Tried(), "the trials reached their end: %v", h.AsRoot)
	require.True(t, h.AsRoot["nftables"].Tried())
	require.Equal(t, before, surroundings(t))
}

// leaveOthersMounts detaches what is neither the root nor the kernel's. A mount whose directory
// somebody removes would go, and one below a directory that is renamed would have another path.
func leaveOthersMounts(t *testing.T) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(table)) {
		at := strings.Fields(line)[4]
		if at != "/" && !regexp.MustCompile(`^/(dev|proc|sys)(/|$)`).MatchString(at) {
			unix.Unmount(at, unix.MNT_DETACH) // it may have gone with one that it was in
		}
	}
}

// surroundings is all that a trial could change, as text: mounts, processes, the
// namespaces of their threads, links and chains.
func surroundings(t *testing.T) map[string]string {
	seen := map[string]string{"chains": strings.Join(dropsForwarded(), "\n")}
	for _, file := range []string{"/proc/self/mountinfo", "/proc/net/dev", "/proc/sys/net/ipv4/ip_forward"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		seen[file] = string(text)
	}
	spaces := map[string]bool{}
	links, err := filepath.Glob("/proc/[0-9]*/task/*/ns/*")
	require.NoError(t, err)
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil { // a thread may have ended since
			spaces[to] = true
		}
	}
	seen["namespaces"] = strings.Join(slices.Sorted(maps.Keys(spaces)), " ")
	processes, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	seen["processes"] = strings.Join(processes, " ")
	return seen
}

// Typed by hand, a role must not touch the namespaces that it finds itself in.
func TestAProbeByHandIsRefused(t *testing.T) {
	for _, role := range []string{"mounts", "links"} {
		for name, in := range map[string]string{"an empty input": "", "our own namespaces": ownNamespaces()} {
			err := Self{"probe"}.Probe(role, strings.NewReader(in), os.Stdout)
			require.ErrorContains(t, err, "namespace of its own", "%s, %s", role, name)
		}
	}
	require.ErrorContains(t, Self{"probe"}.Probe("x", strings.NewReader(""), os.Stdout), `there is no probe "x"`)
}

func TestDiskLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	d := tryDisk(dir)
	require.NotZero(t, d.Free)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	if !d.Unnamed.OK() {
		t.Skip("this file system has no O_TMPFILE: ", d.Unnamed)
	}
	require.True(t, d.Lock.OK())
	require.False(t, tryDisk(filepath.Join(dir, "gone")).Unnamed.OK())
}

func TestCaseLess(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "readme"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), nil, 0o644))
	require.False(t, caseLess(dir), "two files")
	require.NoError(t, os.Remove(filepath.Join(dir, "README")))
	require.NoError(t, os.Link(filepath.Join(dir, "readme"), filepath.Join(dir, "README")))
	require.True(t, caseLess(dir), "one file by both names looks like it")
}
