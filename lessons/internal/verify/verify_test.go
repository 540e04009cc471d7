package verify

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/stages"
)

func TestMain(m *testing.M) {
	boxtest.Main(m, func(string) error {
		return flag.Set("test.parallel", "6") // sessions wait more than they work; -parallel comes after this
	})
}

// TestRepository holds every rule against the repository itself.
func TestRepository(t *testing.T) {
	root, err := stages.Root()
	require.NoError(t, err)
	all, err := stages.All(root)
	require.NoError(t, err)
	t.Run("rules", func(t *testing.T) {
		t.Parallel()
		for _, rule := range Rules {
			t.Run(rule.Name, func(t *testing.T) {
				found, err := rule.Check(root, all)
				require.NoError(t, err)
				for _, f := range found {
					t.Error(f)
				}
				if rule.Left == nil || testing.Short() {
					return // what is left is only shown
				}
				left, err := rule.Left(all)
				require.NoError(t, err)
				t.Log("excepted:", strings.Join(left, "\n"))
			})
		}
	})
	t.Run("transcripts", func(t *testing.T) {
		boxtest.Slow(t, "transcripts run commands")
		t.Parallel()
		for _, page := range Pages(all) {
			t.Run(filepath.Base(page.Name), func(t *testing.T) {
				t.Parallel() // the sessions of each have a store and networks of their own
				found, steps, err := page.Sessions(root)
				require.NoError(t, err)
				for _, f := range found {
					t.Error(f)
				}
				if steps == 0 && os.Geteuid() != 0 {
					t.Skip("all that is typed in it needs root")
				}
				require.NotZero(t, steps)
			})
		}
	})
}

// tree makes a repository of stages from their files.
func tree(t *testing.T, files map[string]string) (string, []stages.Stage) {
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	all, err := stages.All(root)
	require.NoError(t, err)
	return root, all
}

// findings are those of a rule, as text.
func findings(t *testing.T, check func(string, []stages.Stage) ([]Finding, error), files map[string]string) string {
	found, err := check(tree(t, files))
	require.NoError(t, err)
	var text []string
	for _, f := range found {
		text = append(text, f.String())
	}
	return strings.Join(text, "\n")
}

func TestNames(t *testing.T) {
	require.Empty(t, findings(t, names, map[string]string{"stage01-namespaces/a.go": "package main // a stage of life, backstage 12\n"}))
	require.Contains(t,
		findings(t, names, map[string]string{"stage01-namespaces/a.go": "package main\n// as in stage 2\n"}),
		`stage01-namespaces/a.go:2: names a stage ("stage 2"), which would differ in every copy`)
	require.Contains(t, findings(t, names, map[string]string{"stage01-namespaces/a.go": "package main\nvar stage01dir string\n"}), "names a stage")
}

// TestNamesInImportsOfTools: the path of a tool's import may name a stage, and nothing else on
// its line or in another string.
func TestNamesInImportsOfTools(t *testing.T) {
	of := func(text string) string {
		return findings(t, names, map[string]string{"stage01-namespaces/a.go": text, "stage01-namespaces/plan/plan.go": "package plan // of stage 1\n"})
	}
	require.Empty(t, of("package main\n\nimport (\n\t\"os\"\n\n\t\"stagebox/stage01-namespaces/plan\"\n)\n"))
	require.Contains(t, of("package main\n\nimport \"stagebox/stage01-namespaces/plan\" // of stage 1\n"), `a.go:3: names a stage ("stage 1")`)
	require.Contains(t, of("package main\n\nimport \"stagebox/stage01-namespaces\"\n"), `a.go:3: names a stage`)
	require.Contains(t, of("package main\n\nimport \"x/stagebox/stage01-namespaces/plan\"\n"), `a.go:3: names a stage`)
	require.Contains(t, of("package main\n\nvar s = \"stagebox/stage01-namespaces/plan\"\n"), `a.go:3: names a stage`)
}

func TestCopies(t *testing.T) {
	same := map[string]string{"stage01-namespaces/a.go": "package main\n", "stage02-made/a.go": "package main\n"}
	require.Empty(t, findings(t, copies, same))
	same["stage02-made/a.go"] = "package main // edited\n"
	require.Contains(t, findings(t, copies, same), "stage02-made/a.go: differs from the stage before (+1 −1) and is not in the stage's budget")
	delete(same, "stage02-made/a.go")
	same["stage02-made/b.go"] = "package main\n"
	text := findings(t, copies, same)
	require.Contains(t, text, "stage02-made/a.go: was there in the stage before")
	require.Contains(t, text, "stage02-made/b.go: is new and not in the stage's budget")
}

func TestBudget(t *testing.T) {
	b := budget{adds: []string{"new.go"}, edits: map[string]edit{"main.go": {3, 0}}}
	require.Empty(t, b.judge(difference.File{Name: "new.go", New: true, Added: 500}))
	require.Empty(t, b.judge(difference.File{Name: "new_test.go", New: true}))
	require.Empty(t, b.judge(difference.File{Name: "main.go", Added: 3}))
	require.Empty(t, b.judge(difference.File{Name: "old_test.go", Added: 9}))
	require.Equal(t, "+4 −0 lines are more than its budget of +3 −0", b.judge(difference.File{Name: "main.go", Added: 4}))
	require.Contains(t, b.judge(difference.File{Name: "main.go", Added: 1, Removed: 1}), "budget")
}

func TestImports(t *testing.T) {
	require.Empty(t, findings(t, imports, map[string]string{
		"stage01-namespaces/a.go":      "package main\nimport (\n\"net/http\"\n\"golang.org/x/sys/unix\"\n)\n",
		"stage01-namespaces/a_test.go": "package main\nimport \"github.com/stretchr/testify/require\"\n",
	}))
	for _, path := range []string{"github.com/stretchr/testify/require", "github.com/x/y", "stagebox/lessons/internal/stages"} {
		require.Contains(t, findings(t, imports, map[string]string{"stage01-namespaces/a.go": "package main\nimport \"" + path + "\"\n"}),
			"imports "+path+", which its stage's list does not name")
	}
}

// TestImportsOfTools: a tool is imported by its own stage and by later ones; a tool keeps to
// the list of its stage, too.
func TestImportsOfTools(t *testing.T) {
	files := map[string]string{
		"stage01-namespaces/a.go":         "package main\nimport \"stagebox/stage01-namespaces/plan\"\n",
		"stage01-namespaces/plan/plan.go": "package plan\nimport \"golang.org/x/sys/unix\"\n",
		"stage02-cgroups/a.go":            "package main\nimport (\n\"stagebox/stage01-namespaces/plan\"\n\"stagebox/stage02-cgroups/units\"\n)\n",
		"stage02-cgroups/units/u.go":      "package units\nimport \"stagebox/stage01-namespaces/plan\"\n",
		"stage02-cgroups/units/u_test.go": "package units_test\nimport (\n\"stagebox/stage02-cgroups/units\"\n\"github.com/stretchr/testify/require\"\n)\n",
	}
	require.Empty(t, findings(t, imports, files))
	files["stage01-namespaces/a.go"] = "package main\nimport \"stagebox/stage02-cgroups/units\"\n"
	require.Contains(t, findings(t, imports, files), "stage01-namespaces/a.go: imports stagebox/stage02-cgroups/units, a tool of a later stage")
	files["stage01-namespaces/a.go"] = "package main\nimport \"stagebox/stage01-namespaces/none\"\n"
	require.Contains(t, findings(t, imports, files), "there is no such tool: none/ in stage01-namespaces has no Go file")
	files["stage01-namespaces/a.go"] = "package main\n"
	files["stage01-namespaces/plan/plan.go"] = "package plan\nimport (\n\"github.com/stretchr/testify/require\"\n\"stagebox/stage02-cgroups/units\"\n)\n"
	text := findings(t, imports, files)
	require.Contains(t, text, "stage01-namespaces/plan/plan.go: imports github.com/stretchr/testify/require, which its stage's list does not name")
	require.Contains(t, text, "stage01-namespaces/plan/plan.go: imports stagebox/stage02-cgroups/units, a tool of a later stage")
}

// TestFunctionsOfTools: what is said of functions holds for those of tools as well.
func TestFunctionsOfTools(t *testing.T) {
	require.Contains(t, findings(t, functions, map[string]string{"stage01-namespaces/plan/a.go": "package plan\nfunc f() error {\n\t_ = f()\n\treturn nil\n}\n"}),
		"stage01-namespaces/plan/a.go:3: drops a result")
}

func TestFunctions(t *testing.T) {
	long := "package main\n\nfunc f() {\n" + strings.Repeat("\tprintln()\n", longest) + "}\n"
	require.Contains(t, findings(t, functions, map[string]string{"stage01-namespaces/a.go": long}), fmt.Sprintf("f has %d lines", longest+1))
	require.Contains(t, findings(t, functions, map[string]string{"stage01-namespaces/a.go": "package main\nfunc f() error {\n\t_ = f()\n\treturn nil\n}\n"}),
		"stage01-namespaces/a.go:3: drops a result")
	require.Empty(t, findings(t, functions, map[string]string{"stage01-namespaces/a.go": "package main\nfunc f() {}\n"}))
}

func TestReferences(t *testing.T) {
	files := map[string]string{
		"stage01-namespaces/a.go":  "package main\ntype T struct{}\nfunc (t *T) M() {}\nvar x, y int\n",
		"lessons/01-namespaces.md": "# A head: with `code`, and more\n`a.go` `a.go:T` `a.go:T.M` `a.go:y` [here](#a-head-with-code-and-more) [up](../README.md#top) [out](https://example.org/x)\n",
		"README.md":                "# Top\n[stage](stage01-namespaces) [lesson](lessons/01-namespaces.md)\n",
	}
	require.Empty(t, findings(t, references, files))
	files["lessons/01-namespaces.md"] = "`a.go:N` `b.go:T` `c.go` `a.go:12` [x](gone.md) [y](#gone) [z](../README.md#gone)\n"
	text := findings(t, references, files)
	for _, says := range []string{"a.go has no N", "`b.go:T`: there is no stage01-namespaces/b.go", "`c.go`: there is no stage01-namespaces/c.go", "`a.go:12` quotes a line number", "links to gone.md, which is not there",
		"links to #gone, and there is no such heading", "links to ../README.md#gone, and there is no such heading"} {
		require.Contains(t, text, says)
	}
}

// TestReferencesToTools: code of a tool is found from the lesson of the stage that introduces
// it and from later ones.
func TestReferencesToTools(t *testing.T) {
	files := map[string]string{
		"stage01-namespaces/a.go":          "package main\n",
		"stage01-namespaces/plan/spawn.go": "package plan\nfunc replay() {}\ntype Call struct{}\nfunc (c *Call) Result() {}\n",
		"stage02-cgroups/a.go":             "package main\n",
		"stage02-cgroups/units/u_x.go":     "package units\n",
		"lessons/01-namespaces.md":         "`plan/spawn.go` `plan/spawn.go:replay` `a.go`\n",
		"lessons/02-cgroups.md":            "`plan/spawn.go:Call.Result` `units/u_x.go`\n",
	}
	require.Empty(t, findings(t, references, files))
	files["lessons/01-namespaces.md"] = "`units/u_x.go` `plan/spawn.go:gone` `plan/spawn.go:12` `plan/none.go`\n"
	files["lessons/02-cgroups.md"] = "`spawn.go:replay`\n"
	text := findings(t, references, files)
	for _, says := range []string{"`units/u_x.go`: there is no tool units/ in this stage or one before it", "`plan/spawn.go:gone`: plan/spawn.go has no gone",
		"`plan/spawn.go:12` quotes a line number", "`plan/none.go`: there is no stage01-namespaces/plan/none.go", "a tool has a file of that name: plan/spawn.go"} {
		require.Contains(t, text, says)
	}
}
