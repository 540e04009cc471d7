package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
	boxtest.Slow(t, "builds images and runs containers of them")
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
	for _, c := range slices.Concat(quick, boxtest.Sample(t, thorough, 1)) {
		t.Run(c.args[0], func(t *testing.T) {
			out, status := lessons(c.args...)
			require.Equal(t, c.status, status, out)
			require.Regexp(t, c.says, out)
		})
	}
}

// command is a command line of the workbench, and what comes of it.
type command struct {
	args   []string
	status int
	says   string
}

// quick only look something up, or refuse.
var quick = []command{
	{[]string{"list"}, 0, `stage01-namespaces +\d+ +\d+ +\d+ +\d+ +\d+ +Box runs a command in namespaces of its own`},
	{[]string{"read", "1", "--list"}, 0, `(?s)^\nFrom the command line to the list\nmain\.go:commands +\d+  What box can do.*plan/spawn\.go:replay +\d+  All that runs`},
	{[]string{"read", "1"}, 0, `(?s)\n══ From the list to a process ══\n.*── plan/spawn\.go:replay\n   All that runs .*\n\n// replay .*\nfunc replay\(steps \[\]step, .*\n}\n`},
	{[]string{"read", "99"}, 1, `^lessons: there is no stage 99: the stages are 1 to \d+\n$`},
	{[]string{"diff", "1", "--stat"}, 0, `plan\.go \(new\)`},
	{[]string{"diff", "1"}, 0, `\+ func \(c \*Container\) Run\(\) \(err error\) \{`},
	{[]string{"diff", "2", "--changed"}, 0, `(?s)^container\.go:Container\.Run +\+\d+ −0 +\n.*cgroups\.go:cgroup +\+\d+ −0 +new\n.*\nnot on the reading path\n.*main\.go:commands`},
	{[]string{"diff", "99"}, 1, `^lessons: there is no stage 99: the stages are 1 to \d+\n$`},
	{[]string{"diff", "2", "--plan", "--changed"}, 2, `^lessons: diff: --plan and --changed can't be used together; see go run ./lessons diff --help\n$`},
	{[]string{"bench", "nonsense"}, 1, `^lessons: there is no row "nonsense": the rows are start, rootfs, image, `},
	{[]string{"carry", "99"}, 1, `there is no stage 99`},
	{[]string{"check", "99"}, 1, `there is no stage 99`},
	{[]string{"check", "1", "/no/such/box"}, 1, `the binary to check: open /no/such/box: no such file`},
	{[]string{"play", "99"}, 1, `^lessons: there is no stage 99: the stages are 1 to \d+\n$`},
	{[]string{"play", "--memory", "10"}, 1, `^lessons: --memory 10: too little: the machine needs 256 MiB`},
	{[]string{"play", "--host", "--yes", "--net"}, 1, `^lessons: --host runs no virtual machine`},
	{[]string{"play", "--yes"}, 1, `^lessons: --yes needs --host\n$`},
	{[]string{"play", "--pid", "1"}, 1, `^lessons: --pid needs --join\n$`},
	{[]string{"play", "--join", "--host", "--yes"}, 1, `^lessons: --join opens a shell in a running play`},
	{[]string{"play", "--terminal"}, 1, `^lessons: --terminal and --join need a terminal`},
	{[]string{"play", "--cgroup", "v3"}, 2, `^lessons: play: --cgroup "v3": must be v2, v1 or hybrid; see go run ./lessons play --help\n$`},
	{[]string{"read", "08", "--list"}, 0, `(?m)^bridge\.go:`},
	{[]string{"read", "four"}, 2, `^lessons: read: <stage>: "four" is not a whole number; see go run ./lessons read --help\n$`},
	{[]string{"help"}, 0, `(?s)^Usage: lessons <command>.*\n  demo `},
	{[]string{"help", "read"}, 0, `^Usage: lessons read <stage>`},
	{[]string{"site", "."}, 1, `^lessons: .*/lessons holds other files, and no index.html of a site: name another directory\n$`},
	{[]string{"nonsense"}, 2, `^lessons: unknown command "nonsense"; see go run ./lessons --help`},
	{[]string{"verify", "--only", "nonsense"}, 1, `^lessons: there is no rule "nonsense": the rules are names, copies, .*, columns, paths, quotes, phrases, transcripts\n$`},
}

// thorough build a program, run tests or read the whole repository.
var thorough = []command{
	{[]string{"diff", "1", "--plan"}, 0, `(?m)^\+ box │ execve\(FOUND, \["true"\]`},
	{[]string{"bench", "version", "--rounds", "1", "--dir", os.TempDir()}, 0, `(?s)^building …\n.*\nversion: .*MEDIAN +MIN +P90 +RATIO +FAULTS +FAILED +WHAT\n.* ms +1\.00 +\d+ +box version\n$`},
	{[]string{"bench", "rootfs", "fifty", "memory", "lists", "images", "--rounds", "1", "--many", "3", "--dir", os.TempDir()}, 0, `(?s)^building …\n.*` +
		`\nrootfs: .*an older box: --base COMMIT\n.* ms +[\d.]+ +\d+ +box run --rootfs DIR --network none /bin/true\n` +
		`\nfifty: .* ms +[\d.]+ +\d+ +box run --rm --network none tiny true\n\nmemory: .* MiB +1\.00 +\d+ +box run --rm --network none tiny true\n` +
		`\nlists: .* ms +1\.00 +\d+ +box ps -a\n\nimages: .* ms +1\.00 +\d+ +box images\n$`},
	{[]string{"verify", "--only", "names"}, 0, `^names +\d+ stages, 0 findings\n$`},
	{[]string{"verify", "--only", "sizes"}, 0, `^sizes +\d+ stages, 0 findings\n`},
	{[]string{"test", "--run", "^TestFind$", "./lessons/internal/unsteady"}, 0, `(?s)PASS lessons/internal/unsteady\.TestFind .*DONE 1 tests`},
	{[]string{"test", "--short", "--run", "^TestSample$", "./lessons/boxtest"}, 0, `(?s)^STAGEBOX_SEED=\d+ chooses .*PASS lessons/boxtest\.TestSample .*DONE 1 tests`},
	{[]string{"test", "--run", "(", "./lessons/internal/unsteady"}, 1, `failed, though none of its tests did: stagebox/lessons/internal/unsteady`},
	{[]string{"test", "./no/such"}, 1, `no/such: directory not found`},
}

// TestOutputIsNotRead: `| head` ends a command without a word, and nothing is left of it.
func TestOutputIsNotRead(t *testing.T) {
	binary, err := program()
	require.NoError(t, err)
	for _, args := range [][]string{{"diff", "1", "--plan"}, {"check", "1"}, {"demo"}} {
		dir := t.TempDir()
		reader, writer, err := os.Pipe()
		require.NoError(t, err)
		require.NoError(t, reader.Close())
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = writer, &stderr
		require.NoError(t, cmd.Run(), args)
		require.NoError(t, writer.Close())
		require.Empty(t, stderr.String(), args)
		left, err := filepath.Glob(filepath.Join(dir, "stagebox-*"))
		require.NoError(t, err)
		require.Empty(t, left, args)
	}
}

// TestInterrupted: Ctrl-C leaves nothing, whatever the command is doing.
func TestInterrupted(t *testing.T) {
	boxtest.Slow(t, "builds an image")
	binary, err := program()
	require.NoError(t, err)
	for command, begun := range map[string]string{"demo": "stagebox-demo*/store/images/blobs", "diff 2 --plan": "stagebox-diff*"} {
		dir := t.TempDir()
		cmd := exec.Command(binary, strings.Fields(command)...)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool {
			found, err := filepath.Glob(filepath.Join(dir, begun))
			return err == nil && len(found) > 0
		}, 5*time.Minute, time.Millisecond)
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		require.Error(t, cmd.Wait(), out.String())
		require.Truef(t, strings.HasSuffix(out.String(), "\nlessons: interrupted\n") || out.String() == "lessons: interrupted\n", "%s", out.String())
		require.NotContains(t, out.String(), "no such file")
		left, err := filepath.Glob(filepath.Join(dir, "stagebox-*"))
		require.NoError(t, err)
		require.Empty(t, left, command)
	}
}

// TestProgramForTheMachine: one whose loader the machine lacks is refused before the machine is started.
func TestProgramForTheMachine(t *testing.T) {
	var c vmCmd
	static, err := program()
	require.NoError(t, err)
	require.NoError(t, c.checkLoader(static))
	require.NoError(t, c.checkLoader("busybox"), "the machine has it")
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	listed, err := exec.Command("ldd", sh).Output()
	if err != nil {
		t.Skip("sh is static here")
	}
	require.ErrorContains(t, c.checkLoader(sh), sh+" is linked dynamically")
	c.File = strings.Fields(string(listed))
	require.NoError(t, c.checkLoader(sh), "whoever brings the loader, brings the libraries")
}

// TestStartBesideTheRepository: README clones into stagebox, and a copy must not lie in there.
func TestStartBesideTheRepository(t *testing.T) {
	require.Contains(t, readFile(t, "../README.md"), "git clone URL stagebox;")
	home := t.TempDir()
	t.Setenv("HOME", home)
	dir, err := (&startCmd{}).directory(stages.Stage{Dir: "stage01-namespaces"})
	require.NoError(t, err)
	require.False(t, strings.HasPrefix(dir, filepath.Join(home, "stagebox")+"/"), dir)
	require.True(t, strings.HasPrefix(dir, home+"/"), dir)
}

func TestNoCommand(t *testing.T) {
	out, status := workbench(t)()
	require.Zero(t, status, out)
	require.Contains(t, out, "Show what the stages can do on this host")
}

// TestCommandsOnTiers shows a small repository, whose first stage has commands and a tool.
func TestCommandsOnTiers(t *testing.T) {
	lessons := workbench(t)
	t.Chdir(small(t))
	list, status := lessons("list")
	require.Zero(t, status, list)
	require.Regexp(t, `(?m)^ *stage01-a +4 +1 +6 +5 +3 +Box does one thing$`, list)
	require.Regexp(t, `(?m)^ *stage02-b +1 +3 +0 +8 +0 +Box does two$`, list)
	require.Contains(t, list, "Flat in stage02-b: 8 lines. In all folders together, with the tools: 19.\n")

	diff, _ := lessons("diff", "1")
	require.Regexp(t, `(?s)── main\.go .*── cmd_run\.go .*── plan/  tool, 6 lines; --all shows the code `, diff)
	require.Contains(t, diff, "\nPackage plan holds a list.\n\n  func New() int\n      New makes one.\n\n")
	require.NotContains(t, diff, "return 1")
	diff, _ = lessons("diff", "1", "--all")
	require.Contains(t, diff, "── plan/plan.go  new, 6 lines ")
	require.Contains(t, diff, "+ func New() int { return 1 }\n")
	diff, _ = lessons("diff", "2")
	require.NotContains(t, diff, "plan/")
	diff, _ = lessons("diff", "1", "--stat")
	require.Regexp(t, `(?m)^ +6 +0 +2 +plan/ \(tool\) *\n +11 +0 +5 +in all`, diff)
}

// small is a repository of two stages.
func small(t *testing.T) string {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                 "module stagebox\n",
		"lessons/README.md":      "# The lessons\n",
		"stage01-a/main.go":      "// Box does one thing.\npackage main\n\nfunc main() {}\n",
		"stage01-a/cmd_run.go":   "package main\n",
		"stage01-a/main_test.go": "package main\n",
		"stage01-a/plan/plan.go": "// Package plan holds a list.\npackage plan\n\n// New makes one. And\n// more.\nfunc New() int { return 1 }\n",
		"lessons/paths/01.txt":   "plan/plan.go:New  What makes one.\n",
		"stage02-b/main.go":      "// Box does two.\npackage main\n\nfunc main() {}\n",
		"stage02-b/cmd_run.go":   "package main\n\nfunc two() {}\n\n",
	} {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return root
}
