// Package verify holds the rules that keep copies of a program and the prose about them
// honest. Each rule is a function that looks at the repository and returns what it found
// to be wrong; budgets.go and targets.go have the numbers and names that the rules go by.
package verify

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/stages"
)

// Finding is something wrong, and where.
type Finding struct{ Where, What string }

func (f Finding) String() string { return f.Where + ": " + f.What }

// Rule is a named check of the whole repository.
type Rule struct {
	Name  string
	Check func(root string, all []stages.Stage) ([]Finding, error)
	Left  func(all []stages.Stage) ([]string, error) // what its lists of exceptions still hold; may be nil
}

// Rules are all but the transcripts, which take longer and run commands.
var Rules = []Rule{
	{"names", names, nil},
	{"copies", copies, nil},
	{"imports", imports, nil},
	{"sizes", sizes, sizesLeft},
	{"functions", functions, nil},
	{"references", references, nil},
	{"tools", tools, nil},
	{"calls", calls, nil},
	{"columns", columns, nil},
	{"paths", paths, nil},
	{"quotes", quoted, nil},
	{"phrases", plainEnglish, plainLeft},
}

// RuleNames are the names of all rules, the transcripts' among them.
func RuleNames() (names []string) {
	for _, rule := range Rules {
		names = append(names, rule.Name)
	}
	return append(names, "transcripts")
}

// stageName is how a stage must not be spoken of in its own code: the words would differ
// from copy to copy.
var stageName = regexp.MustCompile(`(?i)\bstage[ _-]?0?[1-9]\b|\bstage0[0-9]`)

// names finds stage numbers in the flat code of stages. The path by which a tool is imported
// has one, and the same one in every copy.
func names(_ string, all []stages.Stage) ([]Finding, error) {
	var found []Finding
	err := eachFile(all, func(s stages.Stage, path string, text []byte) {
		for i, line := range strings.Split(string(withoutToolPaths(text)), "\n") {
			if m := stageName.FindString(line); m != "" {
				found = append(found, Finding{fmt.Sprintf("%s:%d", path, i+1),
					fmt.Sprintf("names a stage (%q), which would differ in every copy: say what is meant; only the path of a tool's import may hold it", m)})
			}
		}
	})
	return found, err
}

// toolImport is the path by which a tool is imported; the stage's directory, the tool's name.
var toolImport = regexp.MustCompile(`^"` + stages.Module + `/(stage\d\d-[a-z0-9]+)/([a-z0-9_/]+)"$`)

// withoutToolPaths blanks the paths of tools in a file's imports, and nothing else.
func withoutToolPaths(text []byte) []byte {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.ImportsOnly)
	if err != nil {
		return text // another rule says that it does not parse
	}
	text = bytes.Clone(text)
	for _, spec := range file.Imports {
		if at := set.Position(spec.Path.Pos()).Offset; toolImport.MatchString(spec.Path.Value) {
			copy(text[at:], strings.Repeat(" ", len(spec.Path.Value)))
		}
	}
	return text
}

// eachFile visits every Go file of every stage's directory, tools left out; path is below the
// repository's root.
func eachFile(all []stages.Stage, visit func(s stages.Stage, path string, text []byte)) error {
	for _, s := range all {
		files, err := s.Files(true)
		if err != nil {
			return err
		}
		for _, name := range files {
			text, err := os.ReadFile(filepath.Join(s.Dir, name))
			if err != nil {
				return err
			}
			visit(s, filepath.Join(s.Name(), name), text)
		}
	}
	return nil
}

// eachToolFile visits every Go file of every tool.
func eachToolFile(all []stages.Stage, visit func(t stages.Tool, path string, text []byte)) error {
	for _, s := range all {
		tools, err := s.Tools()
		if err != nil {
			return err
		}
		for _, t := range tools {
			files, err := t.Files(true)
			if err != nil {
				return err
			}
			for _, name := range files {
				text, err := os.ReadFile(filepath.Join(t.Dir(), name))
				if err != nil {
					return err
				}
				visit(t, filepath.Join(t.Path(), name), text)
			}
		}
	}
	return nil
}

// eachGoFile visits the files of both.
func eachGoFile(all []stages.Stage, visit func(s stages.Stage, path string, text []byte)) error {
	if err := eachFile(all, visit); err != nil {
		return err
	}
	return eachToolFile(all, func(t stages.Tool, path string, text []byte) { visit(t.Stage, path, text) })
}

// copies compares each stage with the one before: what it may add and edit is in the
// budget, all else has to be the same to the byte.
func copies(_ string, all []stages.Stage) ([]Finding, error) {
	var found []Finding
	for i, s := range all {
		b := budgets[s.Topic]
		if i == 0 {
			continue
		}
		files, err := difference.Dirs(all[i-1].Dir, s.Dir, true)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if what := b.judge(f); what != "" {
				found = append(found, Finding{filepath.Join(s.Name(), f.Name), what})
			}
		}
	}
	return found, nil
}

// judge says what is wrong with a difference; "" when it is within the budget.
func (b budget) judge(f difference.File) string {
	edit, listed := b.edits[f.Name]
	switch {
	case f.Gone && strings.HasSuffix(f.Name, "_test.go"):
		return "" // what a file does is tested once, in the stage that brings it; the behaviour suite runs in each
	case f.Gone:
		return "was there in the stage before: nothing is taken back"
	case f.New && !slices.Contains(b.adds, strings.TrimSuffix(f.Name, "_test.go")+".go") && !slices.Contains(b.adds, f.Name):
		return "is new and not in the stage's budget"
	case f.New:
		return ""
	case !listed && strings.HasSuffix(f.Name, "_test.go"):
		edit = testEdit
	case !listed:
		return fmt.Sprintf("differs from the stage before (+%d −%d) and is not in the stage's budget", f.Added, f.Removed)
	}
	if f.Added > edit.added || f.Removed > edit.removed {
		return fmt.Sprintf("+%d −%d lines are more than its budget of +%d −%d", f.Added, f.Removed, edit.added, edit.removed)
	}
	return ""
}

// imports allows a stage and its tools what the stage's list and the lists before it name, and
// the tools of the stage itself and of those before it.
func imports(_ string, all []stages.Stage) ([]Finding, error) {
	allowed := map[string]int{}
	for i, s := range all {
		for _, path := range budgets[s.Topic].imports {
			allowed[path] = i + 1
		}
		tools, err := s.Tools()
		if err != nil {
			return nil, err
		}
		for _, t := range tools {
			allowed[t.Import()] = s.Number
		}
	}
	var found []Finding
	err := eachGoFile(all, func(s stages.Stage, path string, text []byte) {
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil {
			found = append(found, Finding{path, err.Error()})
			return
		}
		for _, spec := range file.Imports {
			name := strings.Trim(spec.Path.Value, `"`)
			test := strings.HasSuffix(path, "_test.go") && slices.Contains(testImports, name)
			if since, ok := allowed[name]; !standard(name) && !test && (!ok || since > s.Number) {
				found = append(found, Finding{path, notAllowed(spec.Path.Value, since)})
			}
		}
	})
	return found, err
}

// standard reports whether a package is one of the standard library's.
func standard(path string) bool {
	first := strings.Split(path, "/")[0]
	return first != stages.Module && !strings.Contains(first, ".")
}

// program is a stage's directory as the path of an import.
var program = regexp.MustCompile(`^"` + stages.Module + `/stage\d\d-[a-z0-9]+"$`)

// notAllowed says why a quoted path may not be imported; since is the stage that may, or 0.
func notAllowed(path string, since int) string {
	name := strings.Trim(path, `"`)
	switch m := toolImport.FindStringSubmatch(path); {
	case m != nil && since != 0:
		return fmt.Sprintf("imports %s, a tool of a later stage: a tool lives in the first stage that needs it, so move it to this one", name)
	case program.MatchString(path):
		return fmt.Sprintf("imports %s, the program of a stage: a tool gets what it needs as a parameter", name)
	case m != nil:
		return fmt.Sprintf("imports %s, and there is no such tool: %s/ in %s has no Go file", name, m[2], m[1])
	}
	return fmt.Sprintf("imports %s, which its stage's list does not name: do without it, or add it to the list in lessons/internal/verify/budgets.go", name)
}

// functions finds functions that are too long to hold in mind, and errors that are dropped.
func functions(_ string, all []stages.Stage) ([]Finding, error) {
	var found []Finding
	err := eachGoFile(all, func(s stages.Stage, path string, text []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, 0)
		if err != nil {
			found = append(found, Finding{path, err.Error()})
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			where := func() string { return fmt.Sprintf("%s:%d", path, set.Position(n.Pos()).Line) }
			switch n := n.(type) {
			case *ast.FuncDecl:
				if lines := set.Position(n.End()).Line - set.Position(n.Pos()).Line; lines > longest {
					found = append(found, Finding{where(), fmt.Sprintf("%s has %d lines; the most is %d", n.Name.Name, lines, longest)})
				}
			case *ast.AssignStmt:
				if dropped(n) {
					found = append(found, Finding{where(), "drops a result"})
				}
			}
			return true
		})
	})
	return found, err
}

// dropped reports whether a statement is `_ = f()`.
func dropped(n *ast.AssignStmt) bool {
	id, ok := n.Lhs[0].(*ast.Ident)
	_, call := n.Rhs[0].(*ast.CallExpr)
	return ok && call && len(n.Lhs) == 1 && id.Name == "_"
}

// readBytes reads a file below the root.
func readBytes(root, path string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, path))
	return bytes.ReplaceAll(text, []byte("\r"), nil), err
}
