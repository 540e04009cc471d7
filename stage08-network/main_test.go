package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// box is the program under test, built once, where every user may run it.
var box string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "box-test")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		box = filepath.Join(dir, "box")
		build := exec.Command("go", "build", "-o", box, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(box, 0o755)); err != nil {
			panic(err)
		}
		os.Setenv("BOX_ROOT", filepath.Join(dir, "store"))
		if err := errors.Join(os.Mkdir(nobodysStore(), 0o777), os.Chmod(nobodysStore(), 0o777)); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// nobodysStore is a directory in which an ordinary user may have a store.
func nobodysStore() string { return box + "-nobody" }

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

func TestBadInputGetsASentence(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"run"}, 125, `expected "<command>"`},
		{[]string{"nonsense"}, 125, "unexpected argument nonsense"},
		{[]string{"run", "--share", "foo", "true"}, 125, `--share "foo": no such namespace; there are mnt, pid`},
		{[]string{"run", "--explain=xml", "true"}, 125, `"xml" is not a way to tell`},
		{[]string{"run", "--hostname", string(bytes.Repeat([]byte("x"), 65)), "true"}, 125, "a host name has 64 bytes at the most"},
		{[]string{"run", "no-such-program"}, 127, "no-such-program is in no directory of PATH="},
		{[]string{"run", "/no/such/program"}, 127, `execve("/no/such/program", ["/no/such/program"], …): no such file or directory`},
		{[]string{"run", "/etc/passwd"}, 126, "it is not executable, or a directory"},
		{[]string{"exec", "4194305", "true"}, 125, "no process has the number 4194305"},
		{[]string{"exec", "-1", "true"}, 125, ""},
		{[]string{"exec", "me", "true"}, 125, "there is no such container"},
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
