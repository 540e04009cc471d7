package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/behave"
	"stagebox/lessons/internal/stages"
)

// silence is more than any command of these tests needs between two lines, on a busy host too.
const silence = 5 * time.Minute

// run runs a command in a machine, which like most of these tests' has one CPU: QEMU makes two wait
// for each other, and takes twice the host's time for the same work. It says which packages are
// missing.
func run(t *testing.T, command ...string) (int, string) {
	var out bytes.Buffer
	status, err := Job{Command: command, Memory: 512, CPUs: 1, Silence: silence}.Run(t.Context(), &out)
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	return status, out.String()
}

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// The machine is what the stages need: one tree of groups, with all controllers, and a
// root that pivot_root can leave.
func TestMachine(t *testing.T) {
	boxtest.Slow(t, "boots a virtual machine")
	t.Parallel()
	status, out := run(t, "sh", "-c", `
		grep -c cgroup /proc/mounts; grep -c "cgroup2" /proc/mounts
		for c in memory cpu pids io cpuset; do grep -qw $c /sys/fs/cgroup/cgroup.controllers || echo no $c; done
		mount --bind /root /root && cd /root && mkdir old && unshare -m pivot_root . old && echo pivoted
		echo "it's as it is"; exit 7`)
	require.Equal(t, "1\n1\npivoted\nit's as it is\n", out)
	require.Equal(t, 7, status)
}

// TestMachineEndsWithItsOwner starts a machine in a process of its own, which is then killed.
func TestMachineEndsWithItsOwner(t *testing.T) {
	boxtest.Turn(t, 2, 4)
	const owner = "STAGEBOX_OWNS_A_MACHINE"
	if os.Getenv(owner) != "" {
		run(t, "sleep", "1000")
		return
	}
	h, err := findHost()
	if err != nil {
		t.Skip(err)
	}
	qemu, err := filepath.EvalSymlinks(h.qemu)
	require.NoError(t, err)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestMachineEndsWithItsOwner$")
	cmd.Env = append(os.Environ(), owner+"=1")
	require.NoError(t, cmd.Start())
	machine := 0
	require.Eventually(t, func() bool {
		machine = childRunning(cmd.Process.Pid, qemu)
		return machine > 0
	}, 2*time.Minute, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait(), "it was killed")
	require.Eventually(t, func() bool { return ended(machine) }, 2*time.Minute, 10*time.Millisecond)
}

// childRunning is a child of a process that runs a program, or 0.
func childRunning(parent int, program string) int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, word := range strings.Fields(string(text)) {
			exe, _ := os.Readlink("/proc/" + word + "/exe")
			if pid, err := strconv.Atoi(word); err == nil && exe == program {
				return pid
			}
		}
	}
	return 0
}

// ended reports whether a process is gone, or a zombie whose parent has not looked yet.
func ended(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	return err != nil || strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

func TestMissingPartsAreNamedWithTheirPackages(t *testing.T) {
	err := missingError([]part{{"the program a", "pkg-a"}, {"a kernel", "pkg-k"}})
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "the program a, a kernel")
	require.ErrorContains(t, err, "apt-get install --no-install-recommends pkg-a pkg-k")
	require.NoError(t, missingError(nil))
}

func TestModulesComeWithWhatTheyNeed(t *testing.T) {
	dep := "kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko\n" +
		"kernel/net/802/stp.ko: kernel/net/llc/llc.ko\nkernel/net/llc/llc.ko:\nkernel/x/nft-ct.ko.xz:\nkernel/x/other.ko:\n"
	require.Equal(t, []string{"kernel/net/llc/llc.ko", "kernel/net/802/stp.ko", "kernel/net/bridge/bridge.ko", "kernel/x/nft-ct.ko.xz"},
		withDependencies([]byte(dep), []string{"bridge", "nft_ct", "built_in"}))
}

// The archive is read by the kernel; the numbers are those of cpio(5).
func TestArchive(t *testing.T) {
	var out bytes.Buffer
	a := &archive{out: &out}
	a.text("/a/b", 0o755, "12345")
	a.text("/a/b", 0o755, "another of the same name")
	require.NoError(t, a.finish())
	data := out.Bytes()
	require.Zero(t, len(data)%4)
	want := "070701" + "00000001" + "000041ed" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000" +
		"00000000" + "00000000" + "00000000" + "00000000" + "00000002" + "00000000" + "a\x00"
	require.Equal(t, want, string(data[:len(want)]))
	require.Contains(t, string(data), "a/b\x00")
	require.Contains(t, string(data), "12345\x00\x00\x00")
	require.Contains(t, string(data), "TRAILER!!!\x00")
}

// TestRowsInTheMachine holds rows of the suite against the third stage where version 2 of the
// cgroups has all controllers: those about cgroups, and of the others a tenth at random; with
// STAGEBOX_LONG=1 all. Controls and slow rows are left to the host. The row that needs a second CPU
// is held once there is one.
func TestRowsInTheMachine(t *testing.T) {
	boxtest.Slow(t, "boots a virtual machine")
	t.Parallel()
	root, err := stages.Root()
	require.NoError(t, err)
	stage, err := stages.Get(root, 3)
	require.NoError(t, err)
	dir := t.TempDir()
	box, rows := filepath.Join(dir, "box"), filepath.Join(dir, "rows")
	require.NoError(t, stage.Build(t.Context(), box))
	require.NoError(t, stages.Compile(t.Context(), root, "./lessons/internal/vm/rows", rows))
	const twoCPUs = "--cpuset-cpus is where the kernel lets the command run"
	script := `/bin/rows 3 /bin/box "$@" && echo 1 >/sys/devices/system/cpu/cpu1/online && exec /bin/rows 3 /bin/box "$0"`
	job := Job{Memory: 1024, CPUs: 1, Offline: 1, Silence: silence, Command: []string{"sh", "-c", script, twoCPUs},
		Files: []File{{box, "/bin/box"}, {rows, "/bin/rows"}}}
	random := boxtest.Random(t)
	for _, row := range (behave.Suite{Stage: 3}).Rows() {
		if row.Name == twoCPUs {
			continue
		}
		if row.Since == 2 || boxtest.Long() || random.IntN(10) == 0 {
			job.Command = append(job.Command, row.Name)
		}
	}
	// Busybox has neither cables nor /dev/tcp, and its printf is elsewhere.
	for _, path := range []string{"/usr/local/bin/ip", "/usr/local/bin/bash", "/usr/bin/printf"} {
		files, err := Program(filepath.Base(path), path)
		if errors.Is(err, ErrMissing) {
			t.Skip(err)
		}
		require.NoError(t, err)
		job.Files = append(job.Files, files...)
	}
	var out bytes.Buffer
	status, err := job.Run(t.Context(), &out)
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	require.Zero(t, status, regexp.MustCompile(`(?m)^ok .*\n`).ReplaceAllString(out.String(), ""))
	require.Contains(t, out.String(), "ok   --memory is the group's limit, root\n")
	require.Contains(t, out.String(), "ok   "+twoCPUs+", root\n")
}

// TestCheckInTheMachine has the command check do the same, with the last stage's way to the
// world. All that it can check takes ten minutes there.
func TestCheckInTheMachine(t *testing.T) {
	boxtest.Slow(t, "boots a virtual machine")
	t.Parallel()
	root, err := stages.Root()
	require.NoError(t, err)
	workbench := filepath.Join(t.TempDir(), "lessons")
	require.NoError(t, stages.Workbench(t.Context(), root, workbench))
	out, err := exec.Command(workbench, "check", "--vm", "--no-controls", "--only", "network bridge: the world", "8").CombinedOutput()
	if strings.Contains(string(out), ErrMissing.Error()) {
		t.Skip(strings.TrimSpace(string(out)))
	}
	require.NoError(t, err, "%s", out)
}

// A machine that says nothing more is switched off, and the error says what ran in it.
func TestMachineThatHangs(t *testing.T) {
	boxtest.Slow(t, "boots a virtual machine")
	t.Parallel()
	_, err := Job{Command: []string{"sleep", "98765"}, Memory: 512, CPUs: 1, Silence: 15 * time.Second}.Run(t.Context(), io.Discard)
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	require.ErrorContains(t, err, "the virtual machine hangs: no output for 15s")
	require.ErrorContains(t, err, "sleep 98765", "the list of processes")
}
