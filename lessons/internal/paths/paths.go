// Package paths reads the reading path of a stage: which functions, types and opening comments
// to read, in which order, and what to see in each. A path is a text file, lessons/paths/NN.txt:
//
//	# The straight line
//	container.go:Container.Run    Everything that a run does, one line a topic.
//	plan/spawn.go:replay          The loop that runs in the child.
//	limits.go                     What the kernel limits, and in which unit.
//
// A line that begins with "# " opens a section. Each other line names a declaration, by its
// file and its name (Type.Method for a method), or a file, whose opening comment is meant; the
// rest of the line is one sentence. A file of a tool is named below the tool's directory, as
// the lessons do. Blank lines are skipped.
package paths

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"stagebox/lessons/internal/stages"
)

// Path is the reading path of a stage.
type Path struct {
	Stage   stages.Stage
	Entries []Entry
}

// Entry is one stop on a path.
type Entry struct {
	Section  string   // the title above it; "" unless it is the first of its section
	File     string   // "container.go" or "plan/spawn.go"
	Name     string   // "Container.Run"; "" for the file's opening comment
	Sentence string   // what to see there
	First    int      // number of its first line in the file
	Code     []string // its lines, comment included
	Where    string   // the path's line, as "lessons/paths/01.txt:3"
}

// String is the name by which the path calls it, such as "container.go:Container.Run".
func (e Entry) String() string {
	if e.Name == "" {
		return e.File
	}
	return e.File + ":" + e.Name
}

// Lines is how many lines of code the path has, comments included.
func (p Path) Lines() (n int) {
	for _, e := range p.Entries {
		n += len(e.Code)
	}
	return n
}

// File is where the path of a stage is, below the repository's root.
func File(s stages.Stage) string { return fmt.Sprintf("lessons/paths/%02d.txt", s.Number) }

// Read reads the path of stage n. Without a file, the error is fs.ErrNotExist. A name that
// does not resolve is an error too: all such errors of the path are returned together, with
// the entries that do resolve.
func Read(all []stages.Stage, n int) (Path, error) {
	p := Path{Stage: all[n-1]}
	name := File(p.Stage)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(p.Stage.Dir), name))
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	} else if err != nil {
		return p, err
	}
	var section string
	var wrong []error
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if title, isTitle := strings.CutPrefix(line, "# "); isTitle {
			section = title
			continue
		}
		what, sentence, _ := strings.Cut(line, " ")
		e, err := Find(all, n, what)
		e.Sentence = strings.TrimSpace(sentence)
		if err == nil && e.Sentence == "" {
			err = fmt.Errorf("%s: no sentence: say in one what there is to see", what)
		}
		e.Where, e.Section = fmt.Sprintf("%s:%d", name, i+1), section
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", e.Where, err))
			continue
		}
		p.Entries, section = append(p.Entries, e), ""
	}
	return p, errors.Join(wrong...)
}

// Find finds in stage n what is named as on a path: "container.go:Container.Run", or
// "container.go" for the opening comment. A name below lessons/ is of that file.
func Find(all []stages.Stage, n int, what string) (Entry, error) {
	file, name, _ := strings.Cut(what, ":")
	e := Entry{File: file, Name: name}
	path, err := filepath.Join(filepath.Dir(all[0].Dir), file), error(nil)
	if !strings.HasPrefix(file, "lessons/") {
		path, err = stages.Resolve(all, n, file)
	}
	if err != nil {
		return e, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return e, err
	}
	first, last, err := find(text, name)
	if err != nil {
		return e, fmt.Errorf("%s: %w", file, err)
	}
	lines := strings.Split(string(text), "\n")[first-1 : last]
	e.First, e.Code = first, strings.Split(strings.Join(lines, "\n"), "\n") // the rest of the file is not kept
	return e, nil
}

// find returns the first and the last line of a declaration, comment included; of the opening
// comment if name is "".
func find(text []byte, name string) (first, last int, err error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return 0, 0, err
	}
	lines := func(doc *ast.CommentGroup, node ast.Node) (int, int, error) {
		first := node.Pos()
		if doc != nil {
			first = doc.Pos()
		}
		return set.Position(first).Line, set.Position(node.End()).Line, nil
	}
	if name == "" {
		if len(file.Comments) == 0 || file.Comments[0].Pos() > file.Package {
			return 0, 0, errors.New("no opening comment")
		}
		return lines(nil, file.Comments[0])
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if stages.Receiver(d)+d.Name.Name == name {
				return lines(d.Doc, d)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if declares(spec, name) {
					return lines(d.Doc, d)
				}
			}
		}
	}
	return 0, 0, fmt.Errorf("no declaration of %s", name)
}

// declares reports whether a type, a constant or a variable has a name.
func declares(spec ast.Spec, name string) bool {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		return spec.Name.Name == name
	case *ast.ValueSpec:
		for _, id := range spec.Names {
			if id.Name == name {
				return true
			}
		}
	}
	return false
}
