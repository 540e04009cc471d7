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

// TestExercises makes a copy of every stage, and in it fails each exercise, and passes it with
// the solution that was kept.
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
			for _, e := range exercises.Of(stage.Number) {
				t.Run(e.Name, func(t *testing.T) { p.exercise(t, e, dir) })
			}
		})
	}
}

func (p pupil) exercise(t *testing.T, e exercises.Exercise, dir string) {
	out, status := p.lessons("try", e.Name, dir)
	require.Equal(t, 1, status, out)
	if strings.Contains(out, "nothing of "+e.Name+" could be checked here") {
		require.Contains(t, out, "\nskip ", "a reason")
		t.Skip(out)
	}
	require.Contains(t, out, e.Name+" is not solved yet", "unsolved, it has to fail, and for want of a solution")

	patch := filepath.Join(p.root, e.Patch())
	check := exec.Command("git", "apply", "--check", patch)
	check.Dir = dir
	said, err := check.CombinedOutput()
	require.NoError(t, err, "%s does not fit stage %d any more: make the solution anew in a copy, and keep its git diff there\n%s", e.Patch(), e.Stage, said)
	p.git(t, dir, "apply", patch)
	defer p.git(t, dir, "clean", "-qfd")
	defer p.git(t, dir, "checkout", "-q", ".")
	out, status = p.lessons("try", e.Name, dir)
	require.Zero(t, status, out)
	require.Contains(t, out, e.Name+" is solved")
}
