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

// file is a Go file that a stage changes, with the text of both sides.
type file struct {
	difference.File
	before, after string
	decls         []*decl
	explained     *passage // which speaks of the file
}

// decl is a declaration at the top level: the lines from first to last, its comment among
// them. A group declares several names.
type decl struct {
	names       []string
	first, last int
	explained   *passage
}

// loadFiles reads the sides of differences.
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

// loadFile reads the sides of a difference; a directory may be "", an empty one.
func loadFile(f difference.File, before, after string) (*file, error) {
	loaded := &file{File: f}
	var err error
	if !f.New {
		if loaded.before, err = readText(filepath.Join(before, f.Name)); err != nil {
			return nil, err
		}
	}
	if !f.Gone {
		if loaded.after, err = readText(filepath.Join(after, f.Name)); err != nil {
			return nil, err
		}
	}
	loaded.decls = declarations(loaded.after)
	return loaded, nil
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

// touches reports whether the stage changes a declaration. A line that was removed counts for
// the one that it preceded or was in.
func (f *file) touches(d *decl) bool {
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
