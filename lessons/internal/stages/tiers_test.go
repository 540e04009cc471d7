package stages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// tiers makes a repository of two stages, the first of which introduces tools.
func tiers(t *testing.T) (string, []Stage) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"stage01-a/main.go":              "package main\n\nimport \"stagebox/stage01-a/plan\"\n\nfunc main() { plan.Go() }\n",
		"stage01-a/cmd_run.go":           "package main\n",
		"stage01-a/cmd_run_test.go":      "package main\n",
		"stage01-a/main_test.go":         "package main\n",
		"stage01-a/syscalls.txt":         "read\n",
		"stage01-a/testdata/launch.go":   "package main\n",
		"stage01-a/plan/spawn.go":        "package plan\n\nfunc Go() {}\n",
		"stage01-a/plan/spawn_test.go":   "package plan\n",
		"stage01-a/plan/testdata/odd.go": "package odd\n",
		"stage01-a/wide/deep/deep.go":    "package deep\n",
		"stage01-a/tested/only_test.go":  "package tested\n",
		"stage02-b/main.go":              "package main\n",
	} {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	all, err := All(root)
	require.NoError(t, err)
	return root, all
}

func TestTiersOfAStage(t *testing.T) {
	_, all := tiers(t)
	for _, c := range []struct {
		tier  Tier
		tests bool
		want  []string
	}{
		{Lesson, false, []string{"main.go"}},
		{Lesson, true, []string{"main.go", "main_test.go"}},
		{Commands, false, []string{"cmd_run.go"}},
		{Commands, true, []string{"cmd_run.go", "cmd_run_test.go"}},
	} {
		names, err := all[0].Tier(c.tier, c.tests)
		require.NoError(t, err)
		require.Equal(t, c.want, names)
	}
	require.Equal(t, Tools, TierOf("plan/spawn.go"))
	require.Equal(t, "commands", Commands.String())
}

func TestToolsAreTheDirectoriesWithCode(t *testing.T) {
	root, all := tiers(t)
	tools, err := all[0].Tools()
	require.NoError(t, err)
	require.Len(t, tools, 2)
	plan := tools[0]
	require.Equal(t, "stage01-a/plan", plan.Path())
	require.Equal(t, "stagebox/stage01-a/plan", plan.Import())
	require.Equal(t, filepath.Join(root, "stage01-a", "plan"), plan.Dir())
	files, err := plan.Files(false)
	require.NoError(t, err)
	require.Equal(t, []string{"spawn.go"}, files)
	files, err = plan.Files(true)
	require.NoError(t, err)
	require.Equal(t, []string{"spawn.go", "spawn_test.go"}, files)
	require.Equal(t, "wide/deep", tools[1].Name)

	tools, err = all[1].Tools()
	require.NoError(t, err)
	require.Empty(t, tools)
	require.Equal(t, []string{all[1].Dir, plan.Dir(), filepath.Join(root, "stage01-a/wide/deep")}, all[1].Sources())
	require.Equal(t, []string{all[0].Dir}, all[0].Sources())
}

// TestResolve: a tool is found from its own lesson and from later ones, and not from one before.
func TestResolve(t *testing.T) {
	root, all := tiers(t)
	for number := range 2 {
		path, err := Resolve(all, number+1, "plan/spawn.go")
		require.NoError(t, err)
		require.Equal(t, filepath.Join(root, "stage01-a", "plan", "spawn.go"), path)
	}
	path, err := Resolve(all, 2, "main.go")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "stage02-b", "main.go"), path)
	for name, says := range map[string]string{"cmd_run.go": "there is no stage02-b/cmd_run.go", "plan/none.go": "there is no stage01-a/plan/none.go", "none/spawn.go": "there is no tool none/ in this stage or one before it"} {
		_, err := Resolve(all, 2, name)
		require.ErrorContains(t, err, says)
	}
	require.NoError(t, os.Mkdir(filepath.Join(root, "stage02-b", "late"), 0o755))
	_, err = Resolve(all, 1, "late/x.go")
	require.ErrorContains(t, err, "there is no tool late/")
}
