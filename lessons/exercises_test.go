package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/exercises"
	"stagebox/lessons/internal/stages"
)

// pupil is somebody who does exercises: a workbench, and a place for what it remembers.
type pupil struct {
	binary, state string
	root          string // of the repository
}

// newPupil builds a workbench without libraries, so that it is its own attacker.
func newPupil(t *testing.T) pupil {
	root, err := stages.Root()
	require.NoError(t, err)
	p := pupil{filepath.Join(t.TempDir(), "lessons"), t.TempDir(), root}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", p.binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return p
}

func (p pupil) lessons(args ...string) (string, int) {
	cmd := exec.Command(p.binary, args...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+p.state, "SUDO_USER=")
	out, _ := cmd.CombinedOutput() // how it ended is in the status
	return string(out), cmd.ProcessState.ExitCode()
}

// git runs git in a copy.
func (p pupil) git(t *testing.T, dir string, args ...string) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
}

// TestExercises makes a copy of every stage. In the first stages it holds the kept solution of
// one exercise at a time: this one is solved then, and the next one is not. To build the later
// stages takes longer than all else here. There the copy holds all solutions, and the stage's
// own program none.
func TestExercises(t *testing.T) {
	p := newPupil(t)
	all, err := stages.All(p.root)
	require.NoError(t, err)
	for _, stage := range all {
		t.Run(stage.Name(), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "copy")
			out, status := p.lessons("start", fmt.Sprint(stage.Number), dir)
			require.Zero(t, status, out)
			if stage.Number < 5 {
				p.oneByOne(t, exercises.Of(stage.Number), dir)
			} else {
				p.together(t, exercises.Of(stage.Number), dir, stage)
			}
		})
	}
}

func (p pupil) oneByOne(t *testing.T, list []exercises.Exercise, dir string) {
	for i, e := range list {
		p.apply(t, e, dir)
		t.Run(e.Name, func(t *testing.T) { p.solved(t, e, dir) })
		next := list[(i+1)%len(list)]
		t.Run(next.Name+" unsolved", func(t *testing.T) { p.fails(t, next, dir) })
		p.git(t, dir, "checkout", "-q", ".")
		p.git(t, dir, "clean", "-qfd")
	}
}

func (p pupil) together(t *testing.T, list []exercises.Exercise, dir string, stage stages.Stage) {
	binary := filepath.Join(t.TempDir(), "box")
	require.NoError(t, stage.Build(t.Context(), binary))
	for _, e := range list {
		p.apply(t, e, dir)
		t.Run(e.Name+" unsolved", func(t *testing.T) { p.fails(t, e, "--binary", binary) })
	}
	for _, e := range list {
		t.Run(e.Name, func(t *testing.T) { p.solved(t, e, dir) })
	}
}

// apply puts the kept solution into a copy.
func (p pupil) apply(t *testing.T, e exercises.Exercise, dir string) {
	apply := exec.Command("git", "apply", filepath.Join(p.root, e.Patch()))
	apply.Dir = dir
	said, err := apply.CombinedOutput()
	require.NoError(t, err, "%s does not fit stage %d any more: make the solution anew in a copy, and keep its git diff there\n%s", e.Patch(), e.Stage, said)
}

// fails tries an exercise that is not solved.
func (p pupil) fails(t *testing.T, e exercises.Exercise, where ...string) {
	out, status := p.lessons(append([]string{"try", e.Name}, where...)...)
	require.Equal(t, 1, status, out)
	skipWhereNothingIsSeen(t, e, out)
	require.Contains(t, out, e.Name+" is not solved yet", "unsolved, it has to fail, and for want of a solution")
}

// solved tries one that is.
func (p pupil) solved(t *testing.T, e exercises.Exercise, dir string) {
	out, status := p.lessons("try", e.Name, "--every", "40", dir)
	skipWhereNothingIsSeen(t, e, out)
	require.Zero(t, status, out)
	require.Contains(t, out, e.Name+" is solved")
}

// skipWhereNothingIsSeen skips what only root can see, or a host with some feature.
func skipWhereNothingIsSeen(t *testing.T, e exercises.Exercise, out string) {
	if strings.Contains(out, "nothing of "+e.Name+" could be checked here") {
		require.Contains(t, out, "\nskip ", "a reason")
		t.Skip(out)
	}
}

// TestTrying is what a student meets on the way.
func TestTrying(t *testing.T) {
	p := newPupil(t)
	dir := filepath.Join(t.TempDir(), "copy")
	says := func(status int, says string, args ...string) {
		t.Helper()
		out, is := p.lessons(args...)
		require.Equal(t, status, is, out)
		require.Regexp(t, says, out)
	}
	says(1, `no copy of stage 1 is known: make one with go run ./lessons start 1, or name yours`, "try", "1a")
	says(1, `is no copy of a stage, it has no go.mod`, "try", "1a", t.TempDir())
	says(1, `there is no exercise "1z": there are 1a 1b`, "try", "1z")
	says(1, `there is no stage 99`, "start", "99")
	says(0, `(?s)is yours: a copy of stage01-namespaces.*1a  .*lessons/exercises/1a.md.*try 1a --hint`, "start", "1", dir)
	says(1, `is there already, and what is in it stays`, "start", "1", dir)
	says(0, `(?s)^1a\. [^\n]*\n\nhint 1 of \d: .`, "try", "1a", "--hint")
	says(0, `(?s)hint 1 of \d: .*hint 2 of \d: .`, "try", "1a", "--hint")
	for range 3 {
		p.lessons("try", "1a", "--hint")
	}
	says(0, `These are all. The solution that was kept: lessons/exercises/1a.patch`, "try", "1a", "--hint")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine.go"), []byte("package main\n\nfunc f() { nonsense() }\n"), 0o644))
	says(1, `(?s)it does not build.*mine\.go:3:12: undefined: nonsense`, "try", "1a")
	require.NoError(t, os.Remove(filepath.Join(dir, "mine.go")))
	p.git(t, dir, "apply", filepath.Join(p.root, "lessons/exercises/1a.patch"))
	says(0, `1a is solved, and \d+ rows`, "try", "1a")
	only := "package main\n\nimport \"os\"\n\nfunc init() {\n\tif len(os.Args) < 3 || os.Args[2] != \"--oom-score-adj\" {\n\t\tos.Exit(9)\n\t}\n}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine.go"), []byte(only), 0o644))
	says(1, `(?s)FAIL .*saw +exit 9.*that much is solved, and something else does not hold any more`, "try", "1a")
}
