// Package trytest does the exercises as a student does: with the workbench's commands start
// and try, on copies of a stage. The tests of each stage are a package below stages, so that
// they run side by side.
package trytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/exercises"
	"stagebox/lessons/internal/stages"
)

// pupil is a user who does exercises: a workbench, and a place for what it remembers.
type pupil struct {
	binary, state string
	root          string // of the repository
}

// newPupil builds a workbench without libraries, so that it is its own attacker.
func newPupil(t *testing.T) pupil {
	root, err := stages.Root()
	require.NoError(t, err)
	p := pupil{filepath.Join(t.TempDir(), "lessons"), t.TempDir(), root}
	require.NoError(t, stages.Workbench(t.Context(), root, p.binary))
	return p
}

func (p pupil) lessons(args ...string) (string, int) {
	cmd := exec.Command(p.binary, args...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+p.state, "SUDO_USER=")
	out, _ := cmd.CombinedOutput() // how it ended is in the status
	return string(out), cmd.ProcessState.ExitCode()
}

// Exercises makes copies of a stage. In the first stages each holds the kept solution of one
// exercise: this one is solved then, and the next one is not. To build a later stage takes
// longer than all else here. There one copy holds all solutions, and the stage's own program none.
// With -short the stages take turns, with one exercise each.
func Exercises(t *testing.T, number int) {
	root, err := stages.Root()
	require.NoError(t, err)
	all, err := stages.All(root)
	require.NoError(t, err)
	boxtest.Turn(t, number-1, len(all)) // one stage has its turn
	list := boxtest.Sample(t, exercises.Of(number), 1)
	p := newPupil(t)
	if number < 5 {
		p.oneByOne(t, list)
	} else {
		p.together(t, list)
	}
}

func (p pupil) oneByOne(t *testing.T, list []exercises.Exercise) {
	all := exercises.Of(list[0].Stage)
	for i, e := range list {
		where := p.where(t, p.copy(t, e.Stage, e), e.Stage)
		t.Run(e.Name, func(t *testing.T) { p.solved(t, e, where) })
		next := all[(i+1)%len(all)]
		t.Run(next.Name+" unsolved", func(t *testing.T) { p.fails(t, next, where) })
	}
}

func (p pupil) together(t *testing.T, list []exercises.Exercise) {
	number := list[0].Stage
	stage, err := stages.Get(p.root, number)
	require.NoError(t, err)
	binary := filepath.Join(t.TempDir(), "box")
	require.NoError(t, stage.Build(t.Context(), binary))
	where := p.where(t, p.copy(t, number, list...), number)
	for _, e := range list {
		t.Run(e.Name+" unsolved", func(t *testing.T) { p.fails(t, e, []string{"--binary", binary}) })
		t.Run(e.Name, func(t *testing.T) { p.solved(t, e, where) })
	}
}

// copy makes a copy of a stage with the kept solutions of some exercises.
func (p pupil) copy(t *testing.T, stage int, solved ...exercises.Exercise) string {
	dir := filepath.Join(t.TempDir(), "copy")
	out, status := p.lessons("start", fmt.Sprint(stage), dir)
	require.Zero(t, status, out)
	for _, e := range solved {
		p.apply(t, e, dir)
	}
	return dir
}

// where are the arguments of try: the copy of the first stage, which try builds, or the program
// of a later one, which is built here.
func (p pupil) where(t *testing.T, dir string, stage int) []string {
	if stage == 1 {
		return []string{dir}
	}
	binary := filepath.Join(t.TempDir(), "box")
	build(t, dir, binary)
	return []string{"--binary", binary}
}

// build builds a copy as try does, except that it is compiled and linked only when something
// has changed. The compiler notes the directory of what it compiles, so what it has made of a
// copy is of no use for one elsewhere: hence a name that every directory has for those who are in it.
func build(t *testing.T, dir, binary string) {
	cmd := exec.Command("go", "run", "-buildvcs=false", "-exec", "install -D", ".", binary)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "PWD=/proc/self/cwd")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// git runs git in a copy.
func (p pupil) git(t *testing.T, dir string, args ...string) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
}

// apply puts the kept solution into a copy.
func (p pupil) apply(t *testing.T, e exercises.Exercise, dir string) {
	apply := exec.Command("git", "apply", filepath.Join(p.root, e.Patch()))
	apply.Dir = dir
	said, err := apply.CombinedOutput()
	require.NoError(t, err, "%s does not fit stage %d any more: make the solution again in a copy, and keep its git diff there\n%s", e.Patch(), e.Stage, said)
}

// fails tries an exercise that is not solved.
func (p pupil) fails(t *testing.T, e exercises.Exercise, where []string) {
	t.Parallel()
	out, status := p.lessons(append([]string{"try", e.Name}, where...)...)
	require.Equal(t, 1, status, out)
	skipWhereNothingIsSeen(t, e, out)
	require.Contains(t, out, e.Name+" is not solved yet", "unsolved, it has to fail, and for want of a solution")
}

// solved tries one that is.
func (p pupil) solved(t *testing.T, e exercises.Exercise, where []string) {
	t.Parallel()
	out, status := p.lessons(append([]string{"try", e.Name, "--every", "40"}, where...)...)
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
