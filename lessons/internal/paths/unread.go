package paths

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"

	"stagebox/lessons/internal/stages"
)

// Unread returns the functions of a stage's lesson tier that a reader of the paths never meets:
// they are on none of them, and no function on one of them calls them, directly or through
// others. A name is looked up without its type: two methods of one name count as one, so a
// function may be missed here, but none is named that a reader meets.
//
// Methods that the standard library calls (Write, Error, …) are met with their type. The Run of
// a verb, which kong calls, is met only where a path names it: else main would lead everywhere.
func Unread(s stages.Stage, read []Path) ([]string, error) {
	g, err := calls(s)
	if err != nil {
		return nil, err
	}
	met := map[string]bool{}
	for _, p := range read {
		for _, e := range p.Entries {
			if d := g.named[e.String()]; d != nil {
				g.visit(d, met)
			}
		}
	}
	var unread []string
	for _, name := range slices.Sorted(maps.Keys(g.named)) {
		d := g.named[name]
		if d.isFunc && !met[name] && stages.TierOf(d.file) == stages.Lesson {
			unread = append(unread, name)
		}
	}
	return unread, nil
}

// node is a declaration of the stage's own package, and what it mentions.
type node struct {
	name     string // "container.go:Container.Run"
	file     string
	isFunc   bool
	mentions []string
}

// graph is who mentions whom.
type graph struct {
	named map[string]*node   // by "container.go:Container.Run"
	ident map[string][]*node // by the bare name, "Run"
}

// calls reads the flat files of a stage.
func calls(s stages.Stage) (graph, error) {
	g := graph{map[string]*node{}, map[string][]*node{}}
	files, err := s.Files(false)
	if err != nil {
		return g, err
	}
	set := token.NewFileSet()
	for _, name := range files {
		file, err := parser.ParseFile(set, filepath.Join(s.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return g, err
		}
		for _, d := range file.Decls {
			g.declare(name, d)
		}
	}
	return g, nil
}

// declare adds what a declaration declares.
func (g graph) declare(file string, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		n := g.add(file, stages.Receiver(d)+d.Name.Name, d.Name.Name, d)
		n.isFunc = d.Name.Name != "init" // which the runtime calls
		if d.Recv != nil && calledByOthers[d.Name.Name] {
			receiver := stages.Receiver(d)
			g.ident[receiver[:len(receiver)-1]] = append(g.ident[receiver[:len(receiver)-1]], n)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				g.add(file, spec.Name.Name, spec.Name.Name, spec)
			case *ast.ValueSpec:
				for _, id := range spec.Names {
					g.add(file, id.Name, id.Name, spec)
				}
			}
		}
	}
}

// calledByOthers are methods that the standard library or kong calls through an interface.
var calledByOthers = map[string]bool{"Write": true, "Read": true, "Close": true, "Error": true, "Unwrap": true, "Is": true,
	"String": true, "MarshalJSON": true, "UnmarshalJSON": true, "UnmarshalText": true, "MarshalText": true,
	"Decode": true, "Validate": true, "AfterApply": true, "BeforeReset": true, "RoundTrip": true}

func (g graph) add(file, name, bare string, what ast.Node) *node {
	n := &node{name: file + ":" + name, file: file}
	ast.Inspect(what, func(x ast.Node) bool {
		if id, ok := x.(*ast.Ident); ok {
			n.mentions = append(n.mentions, id.Name)
		}
		return true
	})
	g.named[n.name] = n
	if bare != "Run" {
		g.ident[bare] = append(g.ident[bare], n)
	}
	return n
}

// visit marks a declaration and all that it mentions, directly or not.
func (g graph) visit(n *node, met map[string]bool) {
	if met[n.name] {
		return
	}
	met[n.name] = true
	for _, name := range n.mentions {
		for _, next := range g.ident[name] {
			g.visit(next, met)
		}
	}
}
