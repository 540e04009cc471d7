package boxtest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		leaveTime = 100 * time.Millisecond // what the victim leaves does not end
	}
	Main(m, nil)
}

// victimVariable makes TestVictim a run of tests that leaves all it can, and says what the
// run does then: "waits" or "ends".
const victimVariable = "BOXTEST_VICTIM"

// TestVictim is the body of a test binary that other tests interrupt.
func TestVictim(t *testing.T) {
	does := os.Getenv(victimVariable)
	if does == "" {
		return // the others run it
	}
	dir := filepath.Join(os.TempDir(), "mounted here")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	if os.Geteuid() == 0 {
		require.NoError(t, unix.Mount("box-victim", dir, "tmpfs", 0, ""))
		for _, tree := range cgroupTrees() {
			require.NoError(t, os.MkdirAll(fmt.Sprintf("%s/box-test-%d/box-1", tree, os.Getpid()), 0o755))
		}
	}
	daemon := exec.Command("setsid", "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!")
	pid, err := daemon.Output()
	require.NoError(t, err)
	fmt.Printf("left %s by %d\n", strings.TrimSpace(string(pid)), os.Getpid())
	if does == "waits" {
		time.Sleep(time.Hour)
	}
}

// leaver is a run of tests that leaves something.
type leaver struct {
	*exec.Cmd
	tmp   string       // where it has its TMPDIR
	left  int          // a process that it leaves
	group string       // the name of its cgroups
	errs  bytes.Buffer // what it says on standard error
}

// victim starts TestVictim, and waits until it has done what it does.
func victim(t *testing.T, does string, through ...string) *leaver {
	self, err := os.Executable()
	require.NoError(t, err)
	args := append(through, self, "-test.run=^TestVictim$")
	l := &leaver{Cmd: exec.Command(args[0], args[1:]...), tmp: t.TempDir()}
	l.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	l.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, dirVariable) }),
		victimVariable+"="+does, "TMPDIR="+l.tmp, "STAGEBOX_MEMORY=")
	l.Stderr = &l.errs
	out, in, err := os.Pipe()
	require.NoError(t, err)
	l.Stdout = in
	require.NoError(t, l.Start())
	in.Close()
	t.Cleanup(func() { out.Close() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		by := 0
		if n, _ := fmt.Sscanf(lines.Text(), "left %d by %d", &l.left, &by); n == 2 {
			l.group = fmt.Sprintf("box-test-%d", by)
			return l
		}
	}
	t.Fatalf("the victim did not say what it leaves: %v: %s", l.Wait(), &l.errs)
	return nil
}

// things are what is there of what it leaves: its process, its mount, its cgroups and files.
func (l *leaver) things(t *testing.T) (things []string) {
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", l.left)); err == nil {
		things = append(things, "process")
	}
	if len(mountsBelow(l.tmp)) > 0 {
		things = append(things, "mount")
	}
	for _, tree := range cgroupTrees() {
		if _, err := os.Stat(filepath.Join(tree, l.group)); err == nil {
			things = append(things, "cgroup")
			break
		}
	}
	files, err := os.ReadDir(l.tmp)
	require.NoError(t, err)
	if len(files) > 0 {
		things = append(things, "files")
	}
	return things
}

// before is what there has to be before an end: the control of all these tests.
func before() []string {
	if os.Geteuid() != 0 {
		return []string{"process", "files"}
	}
	return []string{"process", "mount", "cgroup", "files"}
}

func TestInterruptedRunsLeaveNothing(t *testing.T) {
	for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		t.Run(unix.SignalName(signal), func(t *testing.T) {
			l := victim(t, "waits")
			require.Equal(t, before(), l.things(t))
			require.NoError(t, l.Process.Signal(signal))
			require.Error(t, l.Wait())
			require.Equal(t, 128+int(signal), l.ProcessState.ExitCode())
			require.Empty(t, l.things(t))
		})
	}
}

// When go test itself is killed, nothing tells its test binaries: their parent has changed.
func TestRunsEndWithTheirParent(t *testing.T) {
	l := victim(t, "waits", "sh", "-c", `"$@"; true`, "sh")
	require.Equal(t, before(), l.things(t))
	require.NoError(t, l.Process.Kill())
	require.Error(t, l.Wait())
	require.Eventually(t, func() bool { return len(l.things(t)) == 0 }, time.Minute, 10*time.Millisecond)
}

func TestAProcessThatIsLeftIsAnError(t *testing.T) {
	l := victim(t, "ends")
	require.Error(t, l.Wait())
	require.Equal(t, 1, l.ProcessState.ExitCode())
	// On a busy host setsid may not have become sleep yet.
	require.Regexp(t, fmt.Sprintf(`processes behind, which were killed:\n  %d (setsid )?sleep 1000`, l.left), l.errs.String())
	require.Empty(t, l.things(t))
}

// TestATestBinaryIsNoBox: a box starts itself again by /proc/self/exe. A test binary that did so with a
// box's words would run all tests each time.
func TestATestBinaryIsNoBox(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	out, err := exec.Command(self, "inside", "tree").CombinedOutput()
	require.EqualError(t, err, "exit status 2")
	require.Equal(t, "boxtest: a test binary is no box, and cannot run [\"inside\" \"tree\"]\n", string(out))
}
