package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage01-namespaces/flags"
	"stagebox/stage01-namespaces/plan"
)

// box is the program under test, built once, where every user may run it.
var box string

func TestMain(m *testing.M) { boxtest.Main(m, prepare) }

// programVariable holds the path of box in a test binary that a test starts.
const programVariable = "BOX_UNDER_TEST"

// prepare builds box, once for all the tests.
func prepare(dir string) error {
	if box = os.Getenv(programVariable); box != "" {
		return nil
	}
	box = filepath.Join(dir, "box")
	err := errors.Join(os.Mkdir(nobodysStore(), 0o777), os.Chmod(nobodysStore(), 0o777), os.Setenv("BOX_ROOT", filepath.Join(dir, "store")))
	return errors.Join(err, install(".", box), os.Setenv(programVariable, box))
}

// nobodysStore is a directory in which an ordinary user may have a store.
func nobodysStore() string { return box + "-nobody" }

// install makes a program of a package, for every user. go run keeps the programs that it
// has linked, as go build does not, and with -exec it installs one instead of running it.
func install(pkg, program string, flags ...string) error {
	cmd := exec.Command("go", append(append([]string{"run", "-buildvcs=false", "-exec", "install"}, flags...), pkg, program)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

// run runs box and returns what it printed and its exit status.
func run(t testing.TB, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(box, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestVersionIsAFlagToo(t *testing.T) {
	command, _, _ := run(t, "version")
	flag, _, status := run(t, "--version")
	require.Zero(t, status)
	require.NotEmpty(t, flag)
	require.Equal(t, command, flag)
}

func TestRootBeforeTheCommand(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"--root", dir, "volume", "create", "one"},
		{"--root=" + dir, "volume", "create", "two"},
	} {
		_, stderr, status := run(t, args...)
		require.Zero(t, status, stderr)
	}
	stdout, _, _ := run(t, "volume", "ls", "-q", "--root", dir)
	require.Equal(t, "one\ntwo\n", stdout)
	require.NoDirExists(t, filepath.Join(os.Getenv("BOX_ROOT"), "volumes", "one"))
	_, stderr, status := run(t, "--root")
	require.Equal(t, 125, status)
	require.Equal(t, "box: --root: a value is missing\n", stderr)
}

func TestBadInputGetsASentence(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"run"}, 125, "run: missing argument <command>; see box run --help"},
		{[]string{"nonsense"}, 125, `unknown command "nonsense"; see box --help`},
		{[]string{"run", "--share", "foo", "/bin/true"}, 125, `--share "foo": no such namespace; there are mnt, pid`},
		{[]string{"run", "--explain=xml", "/bin/true"}, 125, `"xml" is not a form of narration`},
		{[]string{"run", "--hostname", string(bytes.Repeat([]byte("x"), 65)), "/bin/true"}, 125, "a host name has at most 64 bytes"},
		{[]string{"run", "--domainname", string(bytes.Repeat([]byte("x"), 65)), "/bin/true"}, 125, "a domain name has at most 64 bytes"},
		{[]string{"run", "/no/such/program"}, 127, `execve("/no/such/program", ["/no/such/program"], …): no such file or directory`},
		{[]string{"run", "/etc/passwd"}, 126, "it is not executable, or a directory"},
		{[]string{"exec", "4194305", "true"}, 1, "no such process: 4194305"},
		{[]string{"exec", "-1", "true"}, 125, ""},
		{[]string{"exec", "me", "true"}, 1, "no such container"},
		{[]string{"run", "--label", "a=b", "/bin/true"}, 125, "--label is for a container with a root of its own"},
	} {
		t.Run(fmt.Sprint(c.args), func(t *testing.T) {
			stdout, stderr, status := run(t, c.args...)
			require.Equal(t, c.status, status, stderr)
			require.Empty(t, stdout)
			require.Regexp(t, "^box: ", stderr)
			require.Contains(t, stderr, c.says)
		})
	}
}

// A command line cannot hold as much, but the list of a program that box calls can.
func TestArgumentListTooLongIsNoFailureOfTheProgram(t *testing.T) {
	p := newPlan()
	p.Execve([]string{"/bin/echo", strings.Repeat("x", 1<<18)}, nil, "")
	_, err := (&plan.Narration{}).Start(p.Plan)
	require.ErrorIs(t, err, unix.E2BIG)
	require.Equal(t, 125, plan.StatusOf("run", err))
	require.Equal(t, 126, plan.StatusOf("exec", err), "as in Docker, for all that goes wrong inside")
}

func TestBrokenScriptNamesItsInterpreter(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/no/such/sh\n"), 0o755))
	_, stderr, status := run(t, "run", script)
	require.Equal(t, 127, status)
	require.Contains(t, stderr, "the interpreter that its first line")

	require.NoError(t, os.WriteFile(script, []byte("\x7fELF of nobody"), 0o755))
	_, stderr, status = run(t, "run", script)
	require.Equal(t, 126, status)
	require.Contains(t, stderr, "exec format error\n     neither a program for this machine's processor")
}

// A name that the file system refuses is in the error.
func TestVolumeOfALongName(t *testing.T) {
	name := strings.Repeat("v", 256)
	_, stderr, status := run(t, "volume", "create", "--root", t.TempDir(), name)
	require.Equal(t, 1, status)
	require.Contains(t, stderr, name+": file name too long")
}

// TestEverydayCommandsNeedNoKong: kong takes a millisecond to describe a command, so flags.Parse has to
// know every tag of those that start containers.
func TestEverydayCommandsNeedNoKong(t *testing.T) {
	require.NotNil(t, flags.Parse(&Container{}, []string{"--rm", "--root", "/tmp", "image", "true"}))
	require.NotNil(t, flags.Parse(&Entry{}, []string{"-it", "web", "sh"}))
	require.NotNil(t, flags.Parse(&startCmd{}, []string{"web"}))
	require.NotNil(t, flags.Parse(&psCmd{}, []string{"-a"}))
}
