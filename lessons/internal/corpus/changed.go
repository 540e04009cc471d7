package corpus

import (
	"bytes"
	"errors"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"stagebox/lessons/internal/stages"
)

// Changed lists what is declared otherwise in a stage than in the one before, as
// "file.go:Type.method": in the files of the one before what differs in more than comments, is
// new or gone; in new files only init, for what else is in them is used by what has changed.
func Changed(before, after stages.Stage) ([]string, error) {
	files, err := after.Files(false)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range files {
		now, err := declarations(filepath.Join(after.Dir, name))
		if err != nil {
			return nil, err
		}
		then, err := declarations(filepath.Join(before.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			then = maps.Clone(now)
			delete(then, "init")
		} else if err != nil {
			return nil, err
		}
		for _, decl := range slices.Sorted(maps.Keys(now)) {
			if now[decl] != then[decl] {
				all = append(all, name+":"+decl)
			}
			delete(then, decl)
		}
		for _, decl := range slices.Sorted(maps.Keys(then)) {
			all = append(all, name+":"+decl+" is gone")
		}
	}
	return all, nil
}

// declarations are those of a file by their names, without comments, as gofmt writes them.
func declarations(path string) (map[string]string, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	add := func(name string, node ast.Node) {
		var text bytes.Buffer
		err = errors.Join(err, format.Node(&text, set, node))
		all[name] += text.String()
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			add(stages.Receiver(d)+d.Name.Name, d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					add(s.Name.Name, s)
				case *ast.ValueSpec:
					add(s.Names[0].Name, s)
				}
			}
		}
	}
	return all, err
}
