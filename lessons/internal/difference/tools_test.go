package difference

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/stages"
)

func write(t *testing.T, root, name, text string) {
	path := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func TestCommandsComeAfterTheLesson(t *testing.T) {
	before, after := t.TempDir(), t.TempDir()
	for _, name := range []string{"cmd_a.go", "z.go"} {
		write(t, before, name, "package main\n")
		write(t, after, name, "package main // changed\n")
	}
	write(t, after, "cmd_b.go", "package main\n")
	write(t, after, "y.go", "package main\n")
	write(t, after, "tool/x.go", "package tool\n")
	files, err := Dirs(before, after, false)
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{"z.go", "y.go", "cmd_a.go", "cmd_b.go"}, names)
}

func TestToolIsItsCommentAndWhatItExports(t *testing.T) {
	root := t.TempDir()
	write(t, root, "stage01-a/plan/plan.go", `// Package plan holds a list.
//
// A second paragraph.
package plan

import "io"

// Kinds of things. And more.
const (
	One = iota
	Two
	three
)

// Plan is the list. It is long.
type Plan struct{ n int }

// New makes one.
func New(
	w io.Writer,
) (process, host *Plan) {
	return nil, nil
}

// Add adds a call. Really.
func (p *Plan) Add(name string, args ...any) error { return nil }

func (p *Plan) private() {}

// Arg is another name.
type Arg = func(int) string
`)
	write(t, root, "stage01-a/plan/loose.go", "// Not the package's comment.\n\npackage plan\n\nfunc Loose() {}\n")
	write(t, root, "stage01-a/plan/plan_test.go", "package plan\n\nfunc Tested() {}\n")
	all, err := stages.All(root)
	require.NoError(t, err)
	tools, err := Tools(all[0], false)
	require.NoError(t, err)
	require.Len(t, tools, 1)
	plan := tools[0]
	require.Equal(t, "Package plan holds a list.\n\nA second paragraph.", plan.Comment)
	require.Equal(t, []Export{
		{"const One, Two", "Kinds of things.", "plan/plan.go", "One"},
		{"func Loose()", "", "plan/loose.go", "Loose"},
		{"type Arg = func(int) string", "Arg is another name.", "plan/plan.go", "Arg"},
		{"type Plan struct", "Plan is the list.", "plan/plan.go", "Plan"},
		{"func New(w io.Writer) (process, host *Plan)", "New makes one.", "plan/plan.go", "New"},
		{"func (p *Plan) Add(name string, args ...any) error", "Add adds a call.", "plan/plan.go", "Plan.Add"},
	}, plan.Exports)
	require.Equal(t, []string{"plan/loose.go", "plan/plan.go"}, []string{plan.Files[0].Name, plan.Files[1].Name})
	require.Equal(t, 36, plan.Added())
	require.Equal(t, 18, plan.Code())

	tools, err = Tools(all[0], true)
	require.NoError(t, err)
	require.Len(t, tools[0].Files, 3)
	require.Equal(t, plan.Exports, tools[0].Exports, "tests export nothing")
}

// TestExportsHaveTheirNames: of a generic type, of one that is only embedded, and of a variable that is
// declared together with one that is not exported.
func TestExportsHaveTheirNames(t *testing.T) {
	root := t.TempDir()
	write(t, root, "stage01-a/plan/plan.go", "package plan\n\ntype List[T any] struct{}\n\nfunc (l *List[T]) Len() int { return 0 }\n\ntype base struct{}\n\nfunc (b base) Do() {}\n\ntype Outer struct{ base }\n\nvar hidden, Seen = 1, 2\n")
	all, err := stages.All(root)
	require.NoError(t, err)
	tools, err := Tools(all[0], false)
	require.NoError(t, err)
	var names []string
	for _, e := range tools[0].Exports {
		names = append(names, e.Name)
		require.NotContains(t, e.Text, "_")
	}
	require.Equal(t, []string{"Seen", "List", "List.Len", "Outer", "base.Do"}, names)
}

func TestToolThatDoesNotParseHasItsFiles(t *testing.T) {
	root := t.TempDir()
	write(t, root, "stage01-a/plan/plan.go", "not go\n")
	all, err := stages.All(root)
	require.NoError(t, err)
	tools, err := Tools(all[0], false)
	require.NoError(t, err)
	require.Empty(t, tools[0].Exports)
	require.Equal(t, 1, tools[0].Added())
}
