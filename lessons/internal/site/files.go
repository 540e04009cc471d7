package site

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/stages"
)

// file is a Go file that a stage changes. Its text and its comparison are read again for each page
// that shows them: those of all stages together take more memory than all else.
type file struct {
	difference.File        // without its Lines
	from, to        string // directories of the two sides; from may be "", an empty one
	decls           []*decl
	explained       *passage // which speaks of the file
}

// sides is what a file consists of.
type sides struct {
	before, after string
	lines         []difference.Line
}

// decl is a declaration at the top level: the lines from first to last, its comment among
// them. A group declares several names.
type decl struct {
	names       []string
	first, last int
	touched     bool // whether the stage changes it
	explained   *passage
}

// loadFiles reads the files of differences.
func loadFiles(list []difference.File, before, after string) ([]*file, error) {
	var files []*file
	for _, f := range list {
		loaded, err := loadFile(f, before, after)
		if err != nil {
			return nil, err
		}
		files = append(files, loaded)
	}
	return files, nil
}

// loadFile finds the declarations of a file, and forgets its text.
func loadFile(f difference.File, before, after string) (*file, error) {
	loaded := &file{File: f, from: before, to: after}
	text := ""
	if !f.Gone {
		var err error
		if text, err = readText(filepath.Join(after, f.Name)); err != nil {
			return nil, err
		}
	}
	for _, d := range declarations(text) {
		d.touched = touches(f, d)
		loaded.decls = append(loaded.decls, d)
	}
	loaded.Lines = nil
	return loaded, nil
}

// sides reads the file and compares it.
func (f *file) sides() (s sides, err error) {
	if !f.New {
		s.before, err = readText(filepath.Join(f.from, f.Name))
	}
	if err == nil && !f.Gone {
		s.after, err = readText(filepath.Join(f.to, f.Name))
	}
	if err != nil {
		return s, err
	}
	compared, err := difference.Compare(f.Name, f.from, f.to)
	s.lines = compared.Lines
	return s, err
}

func readText(path string) (string, error) {
	data, err := os.ReadFile(path)
	return string(data), err
}

// declarations are those of a Go text; none when it does not parse, as may happen to
// an author who is just editing it.
func declarations(text string) []*decl {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, "", text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	var list []*decl
	for _, d := range parsed.Decls {
		names, doc := declared(d)
		first := d.Pos()
		if doc != nil {
			first = doc.Pos()
		}
		list = append(list, &decl{names: names, first: set.Position(first).Line, last: set.Position(d.End()).Line})
	}
	return list
}

// declared are the names that a declaration gives; none for imports.
func declared(d ast.Decl) ([]string, *ast.CommentGroup) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return []string{stages.Receiver(d) + d.Name.Name}, d.Doc
	case *ast.GenDecl:
		var names []string
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, id := range spec.Names {
					names = append(names, id.Name)
				}
			}
		}
		return names, d.Doc
	}
	return nil, nil
}

// at is the declaration that a line of the file after the change belongs to, or nil.
func (f *file) at(line int) *decl {
	for _, d := range f.decls {
		if line >= d.first && line <= d.last {
			return d
		}
	}
	return nil
}

// declares returns the declaration of a name, or nil.
func (f *file) declares(name string) *decl {
	for _, d := range f.decls {
		for _, n := range d.names {
			if n == name {
				return d
			}
		}
	}
	return nil
}

// anchor is the address of a declaration on the page of changes.
func anchor(file, name string) string { return file + ":" + name }

// title names a declaration in few words: its first names.
func (d *decl) title() string {
	if len(d.names) > 3 {
		return strings.Join(d.names[:3], ", ") + " …"
	}
	return strings.Join(d.names, ", ")
}

// touches reports whether a comparison has changes of a declaration. A line that was removed counts for
// the one that it preceded or was in.
func touches(f difference.File, d *decl) bool {
	if f.New {
		return true
	}
	last := 0 // the last line of the new side before this one
	for _, line := range f.Lines {
		switch {
		case line.Kind == difference.Added && line.New >= d.first && line.New <= d.last,
			line.Kind == difference.Removed && last >= d.first-1 && last < d.last:
			return true
		}
		if line.New != 0 && line.Kind != difference.Folded {
			last = line.New
		}
	}
	return false
}
