package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/stages"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// program is the command, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "workbench-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "lessons")
	return path, errors.Join(os.Chmod(dir, 0o755), stages.Workbench(context.Background(), "..", path))
})

// workbench returns what runs the command.
func workbench(t *testing.T) func(args ...string) (string, int) {
	binary, err := program()
	require.NoError(t, err)
	return func(args ...string) (string, int) {
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), "NO_COLOR=1")
		out, _ := cmd.CombinedOutput() // how it ended is in the status
		return string(out), cmd.ProcessState.ExitCode()
	}
}

// TestDemo plays the tour; root's in a network namespace of its own, because of its bridge.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds images and runs containers of them: left out with -short")
	}
	binary, err := program()
	require.NoError(t, err)
	demo := exec.Command(binary, "demo")
	if os.Geteuid() == 0 {
		demo = exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up && exec "$0" demo`, binary)
	}
	out, err := demo.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Regexp(t, `(?s)box │ execve.*RUN mkdir /page  # CACHED.*page.html changed \(content\).*<p>Changed.</p>.*web`, string(out))
}

func TestCommands(t *testing.T) {
	lessons := workbench(t)
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"list"}, 0, `stage01-namespaces +\d+ +\d+ +\d+ +Box runs a command in namespaces of its own`},
		{[]string{"diff", "1", "--stat"}, 0, `plan\.go \(new\)`},
		{[]string{"diff", "1"}, 0, `\+ func \(c \*Container\) Run\(\) error \{`},
		{[]string{"diff", "1", "--plan"}, 0, `(?m)^\+ box │ execve\(FOUND, \["true"\]`},
		{[]string{"diff", "99"}, 1, `^lessons: there is no stage 99: the stages are 1 to \d+\n$`},
		{[]string{"carry", "99"}, 1, `there is no stage 99`},
		{[]string{"check", "99"}, 1, `there is no stage 99`},
		{[]string{"check", "1", "/no/such/box"}, 1, `the binary to check: open /no/such/box: no such file`},
		{[]string{"nonsense"}, 2, `^lessons: unexpected argument nonsense`},
		{[]string{"verify", "--only", "names"}, 0, `^names +\d+ stages, 0 findings\n$`},
		{[]string{"test", "--run", "^TestFind$", "./lessons/internal/unsteady"}, 0, `(?s)PASS lessons/internal/unsteady\.TestFind .*DONE 1 tests`},
		{[]string{"test", "--run", "(", "./lessons/internal/unsteady"}, 1, `failed, though none of its tests did: stagebox/lessons/internal/unsteady`},
		{[]string{"test", "./no/such"}, 1, `no/such: directory not found`},
	} {
		t.Run(c.args[0], func(t *testing.T) {
			out, status := lessons(c.args...)
			require.Equal(t, c.status, status, out)
			require.Regexp(t, c.says, out)
		})
	}
}
