package exercises

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/behave"
	"stagebox/lessons/internal/stages"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func everyStage(t *testing.T) (string, []stages.Stage) {
	root, err := stages.Root()
	require.NoError(t, err)
	all, err := stages.All(root)
	require.NoError(t, err)
	return root, all
}

// TestTable holds the table against the pages, the suite and the stages: each stage has an
// exercise that builds and one that breaks, each row exists, and its page says what is checked.
func TestTable(t *testing.T) {
	root, all := everyStage(t)
	kinds := map[int]map[bool]bool{}
	for _, e := range All {
		page, err := e.Read(root)
		require.NoError(t, err)
		require.NotEmpty(t, page.Title)
		require.GreaterOrEqual(t, len(page.Hints), 3, e.Name)
		text, err := os.ReadFile(filepath.Join(root, e.Path()))
		require.NoError(t, err)
		for _, row := range append(e.Excused, e.Rows...) {
			require.Len(t, behave.Suite{Names: []string{row}}.Rows(), 1, "%s: %q is not a row of the suite", e.Name, row)
			require.Contains(t, string(text), "\n* "+row+"\n", e.Name)
		}
		if kinds[e.Stage] == nil {
			kinds[e.Stage] = map[bool]bool{}
		}
		kinds[e.Stage][e.Break != ""] = true
		require.NotPanics(t, func() { regexp.MustCompile(e.Break) })
	}
	for _, stage := range all {
		require.Len(t, kinds[stage.Number], 2, "%s has no exercise that builds, or none that breaks", stage.Name())
	}
}

// TestPatchesFit applies each solution to the stage as it is now.
func TestPatchesFit(t *testing.T) {
	root, all := everyStage(t)
	for _, e := range boxtest.Sample(t, All, 4) {
		dir := t.TempDir()
		_, err := copyStage(t.Context(), root, all[e.Stage-1], dir)
		require.NoError(t, err)
		apply := exec.Command("git", "apply", "--check", filepath.Join(root, e.Patch()))
		apply.Dir = dir
		out, err := apply.CombinedOutput()
		require.NoError(t, err, "%s does not fit stage %d any more: make the solution again in a copy, and keep its git diff there\n%s", e.Patch(), e.Stage, out)
	}
}

// TestTurned: an attack has got through when the check has seen it, and not when it could not look.
func TestTurned(t *testing.T) {
	e := Exercise{Break: "^got in"}
	result := func(holds bool, saw string, err error) behave.Result {
		r := behave.Result{}
		r.Holds, r.Saw, r.Err = holds, saw, err
		return e.turned(r)
	}
	require.True(t, result(false, "got in: there", nil).Holds)
	require.False(t, result(true, "got in: there", nil).Holds)
	require.False(t, result(false, "exit 125", nil).Holds)
	require.False(t, result(false, "got in: there", errors.New("no")).Holds)
}

func TestParse(t *testing.T) {
	page, err := parse("1a", "# 1a. A title\n\nThe task,\n    code\n\n## Hints\n\n1. One\n   more.\n2. Two\n\n## What is checked\n\n* row\n")
	require.NoError(t, err)
	require.Equal(t, Page{Title: "A title", Task: "The task,\n    code", Hints: []string{"One\nmore.", "Two"}}, page)
	for text, says := range map[string]string{
		"# 1b. A title\n": "the first line", "# 1a. T\n\ntask\n": `it has no "## Hints"`,
		"# 1a. T\n\ntask\n\n## Hints\n\nnone\n\n## What is checked\n": "no numbered hint",
	} {
		_, err := parse("1a", text)
		require.ErrorContains(t, err, says)
	}
}

func TestGet(t *testing.T) {
	e, err := Get("3A")
	require.NoError(t, err)
	require.Equal(t, "3a", e.Name)
	_, err = Get("9z")
	require.ErrorContains(t, err, `there is no exercise "9z": there are 1a`)
}

func TestMemory(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("SUDO_USER", "")
	m, err := Recall()
	require.NoError(t, err)
	m.Copies[3], m.Hints["3a"] = "/somewhere", 2
	require.NoError(t, m.Keep())
	again, err := Recall()
	require.NoError(t, err)
	require.Equal(t, m, again)
	require.NoError(t, os.WriteFile(stateHome("", os.Getenv("XDG_STATE_HOME")), []byte("{"), 0o600))
	_, err = Recall()
	require.ErrorContains(t, err, "what is remembered of the exercises")
}

// TestStart makes a copy, and looks with git and go whether it is whole; TestExercises of the
// workbench builds them all.
func TestStart(t *testing.T) {
	root, all := everyStage(t)
	dir := filepath.Join(t.TempDir(), "deep", "copy")
	require.NoError(t, Start(t.Context(), root, all[0], dir))
	status, err := command(t.Context(), dir, "git", "status", "--short")
	require.NoError(t, err)
	require.Empty(t, status)
	listed, err := command(t.Context(), dir, "go", "list", "-f", "{{.Module.Path}} {{.TestGoFiles}}")
	require.NoError(t, err)
	require.Equal(t, "stagebox []\n", listed)
	modules, err := command(t.Context(), dir, "go", "list", "-m", "-f", "{{if not .Indirect}}{{.Path}}{{end}}", "all")
	require.NoError(t, err)
	require.NotContains(t, modules, "testify")

	require.ErrorContains(t, Start(t.Context(), root, all[0], dir), "is there already, and what is in it stays")
	require.FileExists(t, filepath.Join(dir, "plan.go"))
	inside := filepath.Join(root, "lessons", "mine", "copy")
	require.ErrorContains(t, Start(t.Context(), root, all[0], inside), "is inside the repository")
	require.NoDirExists(t, filepath.Dir(inside))
	require.ErrorContains(t, Start(t.Context(), root, all[0], filepath.Join(dir, "plan.go")), "not a directory")
}

// TestStartTakesTools: of a stage that imports tools, of itself and of one before, the copy
// builds by itself; tests, and a tool that it does not import, stay behind.
func TestStartTakesTools(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                       "module stagebox\n\ngo 1.26\n",
		"go.sum":                       "",
		"stage01-a/main.go":            "package main\n\nfunc main() {}\n",
		"stage01-a/plan/plan.go":       "package plan\n\nimport (\n\t\"embed\"\n\n\t_ \"stagebox/stage01-a/deep\"\n)\n\n//go:embed data\nvar Data embed.FS\n",
		"stage01-a/plan/plan_test.go":  "package plan\n",
		"stage01-a/plan/data/x.txt":    "x\n",
		"stage01-a/plan/testdata/y.go": "package y\n",
		"stage01-a/deep/deep.go":       "package deep\n",
		"stage01-a/unused/unused.go":   "package unused\n",
		"stage02-b/main.go":            "package main\n\nimport (\n\t_ \"stagebox/stage01-a/plan\"\n\t_ \"stagebox/stage02-b/units\"\n)\n\nfunc main() {}\n",
		"stage02-b/main_test.go":       "package main\n",
		"stage02-b/units/units.go":     "package units\n",
	} {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	stage, err := stages.Get(root, 2)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, Start(t.Context(), root, stage, dir))
	files, err := command(t.Context(), dir, "git", "ls-files")
	require.NoError(t, err)
	require.Equal(t, []string{".gitignore", "go.mod", "go.sum", "main.go", "stage01-a/deep/deep.go", "stage01-a/plan/data/x.txt",
		"stage01-a/plan/plan.go", "stage02-b/units/units.go"}, strings.Fields(files))
	t.Setenv("GOPROXY", "off")
	_, err = command(t.Context(), dir, "go", "build", "-o", "box", ".")
	require.NoError(t, err)
	status, err := command(t.Context(), dir, "git", "status", "--short")
	require.NoError(t, err)
	require.Empty(t, status)
}

// TestStartCleansUp: of a copy that could not be made, nothing is left.
func TestStartCleansUp(t *testing.T) {
	root, all := everyStage(t)
	t.Setenv("GIT_DIR", filepath.Join(t.TempDir(), "none", "none")) // where git cannot make anything
	dir := filepath.Join(t.TempDir(), "copy")
	require.Error(t, Start(t.Context(), root, all[0], dir))
	require.NoDirExists(t, dir)
}
