package trytest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/stages"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestEveryStageIsTested looks for the package that does each stage's exercises.
func TestEveryStageIsTested(t *testing.T) {
	root, err := stages.Root()
	require.NoError(t, err)
	list, err := stages.All(root)
	require.NoError(t, err)
	below := filepath.Join(root, "lessons/internal/exercises/stages")
	for _, s := range list {
		text, err := os.ReadFile(filepath.Join(below, fmt.Sprintf("stage%02d", s.Number), "exercises_test.go"))
		require.NoError(t, err)
		require.Contains(t, string(text), fmt.Sprintf("func TestExercises(t *testing.T) { trytest.Exercises(t, %d) }\n", s.Number))
	}
	packages, err := os.ReadDir(below)
	require.NoError(t, err)
	require.Len(t, packages, len(list))
}

// TestTrying is what a student meets on the way.
func TestTrying(t *testing.T) {
	boxtest.Slow(t, "builds a copy several times")
	p := newPupil(t)
	dir := filepath.Join(t.TempDir(), "copy")
	says := func(status int, says string, args ...string) {
		t.Helper()
		out, is := p.lessons(args...)
		require.Equal(t, status, is, out)
		require.Regexp(t, says, out)
	}
	says(1, `no copy of stage 1 is known: make one with go run ./lessons start 1, or name yours`, "try", "1a")
	says(1, `is not a copy of a stage, it has no go.mod`, "try", "1a", t.TempDir())
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
