package paths

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/stages"
)

// tree is a repository of the files given.
func tree(t *testing.T, files map[string]string) []stages.Stage {
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	all, err := stages.All(root)
	require.NoError(t, err)
	return all
}

const program = `// What this file is about,
// in two lines.

package main

// commands are verbs.
var commands = []string{"run"}

const (
	one = 1
	two = 2
)

// T has a method.
type T struct{}

// Run calls a function.
func (t *T) Run() { called() }

func called() { var t T; t.String() }

// String is called by fmt, through an interface.
func (T) String() string { return "" }

func main() {}

func alone() { alsoAlone() }

func alsoAlone() {}
`

func files(path string) map[string]string {
	return map[string]string{
		"stage01-a/main.go":      program,
		"stage01-a/cmd_run.go":   "package main\n\nfunc verb() {}\n",
		"stage01-a/plan/plan.go": "package plan\n\n// New makes one.\nfunc New() int {\n\treturn 1\n}\n",
		"lessons/paths/01.txt":   path,
	}
}

func TestRead(t *testing.T) {
	p, err := Read(tree(t, files(`
# First
main.go            The opening comment.
main.go:commands   A variable.

main.go:two        A group of constants.
main.go:T          A type.
# Second
main.go:T.Run      A method.
plan/plan.go:New   A function of a tool.
`)), 1)
	require.NoError(t, err)
	require.Equal(t, 2+2+4+2+2+4, p.Lines())
	require.Len(t, p.Entries, 6)
	require.Equal(t, Entry{Section: "First", File: "main.go", Sentence: "The opening comment.", First: 1,
		Code: []string{"// What this file is about,", "// in two lines."}, Where: "lessons/paths/01.txt:3"}, p.Entries[0])
	require.Empty(t, p.Entries[1].Section)
	require.Equal(t, "main.go:T.Run", p.Entries[4].String())
	require.Equal(t, "Second", p.Entries[4].Section)
	require.Equal(t, []string{"// New makes one.", "func New() int {", "\treturn 1", "}"}, p.Entries[5].Code)
	require.Equal(t, 3, p.Entries[5].First)
}

// TestReadSaysAllThatIsWrong: each line that does not resolve is an error of its own.
func TestReadSaysAllThatIsWrong(t *testing.T) {
	p, err := Read(tree(t, files(`main.go:T
main.go:no   A name that is not there.
no.go:main   A file that is not there.
no/no.go:x   A tool that is not there.
plan/plan.go A file without an opening comment.
main.go:main What is right.
`)), 1)
	require.EqualError(t, err, `lessons/paths/01.txt:1: main.go:T: no sentence: say in one what there is to see
lessons/paths/01.txt:2: main.go: no declaration of no
lessons/paths/01.txt:3: there is no stage01-a/no.go
lessons/paths/01.txt:4: there is no tool no/ in this stage or one before it
lessons/paths/01.txt:5: plan/plan.go: no opening comment`)
	require.Len(t, p.Entries, 1)

	one := files("")
	delete(one, "lessons/paths/01.txt")
	_, err = Read(tree(t, one), 1)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestUnread: what a path leads to is met; a function of the commands need not be.
func TestUnread(t *testing.T) {
	unread := func(path string) []string {
		all := tree(t, files(path))
		p, err := Read(all, 1)
		require.NoError(t, err)
		names, err := Unread(all[0], []Path{p})
		require.NoError(t, err)
		return names
	}
	require.Equal(t, []string{"main.go:T.Run", "main.go:T.String", "main.go:alone", "main.go:alsoAlone", "main.go:called"}, unread("main.go:main  x"))
	require.Equal(t, []string{"main.go:alone", "main.go:alsoAlone", "main.go:main"}, unread("main.go:T.Run  x"))
	require.Equal(t, []string{"main.go:main"}, unread("main.go:T.Run  x\nmain.go:alone  x"))
}
