package difference

import (
	"bytes"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"path/filepath"
	"slices"
	"strings"

	"stagebox/lessons/internal/stages"
)

// Tool is a package that a stage introduces.
type Tool struct {
	stages.Tool
	Files   []File // all new; their names begin with the tool's: "plan/spawn.go"
	Comment string // the package comment, as it is broken into lines
	Exports []Export
}

// Export is something that a tool exports.
type Export struct {
	Text     string // its declaration, in one line and without what is inside
	Synopsis string // the first sentence of its comment
	File     string // which declares it: "plan/spawn.go"
	Name     string // "New", "Plan.Add"
}

// Added is how many lines the tool has.
func (t Tool) Added() (lines int) {
	for _, f := range t.Files {
		lines += f.Added
	}
	return lines
}

// Code is how many of them are neither blank nor a comment.
func (t Tool) Code() (lines int) {
	for _, f := range t.Files {
		lines += f.Code
	}
	return lines
}

// Tools are the packages that a stage introduces. Tests are left out unless asked for.
func Tools(s stages.Stage, tests bool) ([]Tool, error) {
	list, err := s.Tools()
	if err != nil {
		return nil, err
	}
	var tools []Tool
	for _, one := range list {
		t := Tool{Tool: one}
		if t.Files, err = Dirs("", one.Dir(), tests); err != nil {
			return nil, err
		}
		for i := range t.Files {
			t.Files[i].Name = one.Name + "/" + t.Files[i].Name
		}
		t.outline()
		tools = append(tools, t)
	}
	return tools, nil
}

// outline reads what `go doc` would say. Of a package that does not parse, as may happen to
// an author who is just editing it, it says nothing.
func (t *Tool) outline() {
	set := token.NewFileSet()
	var parsed []*ast.File
	for _, f := range t.Files {
		if strings.HasSuffix(f.Name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, filepath.Join(t.Stage.Dir, f.Name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return
		}
		parsed = append(parsed, file)
	}
	p, err := doc.NewFromFiles(set, parsed, t.Import())
	if err != nil {
		return
	}
	t.Comment = strings.TrimSpace(p.Doc)
	o := outliner{t, p, set}
	o.values(p.Consts)
	o.values(p.Vars)
	o.funcs(p.Funcs)
	for _, kind := range p.Types {
		o.add(kind.Decl, kind.Name, typeText(set, kind), kind.Doc)
		o.values(kind.Consts)
		o.values(kind.Vars)
		o.funcs(kind.Funcs)
		o.funcs(kind.Methods)
	}
}

// outliner adds exports to a tool.
type outliner struct {
	tool *Tool
	doc  *doc.Package
	set  *token.FileSet
}

func (o outliner) add(node ast.Node, name, text, comment string) {
	file := o.tool.Name + "/" + filepath.Base(o.set.Position(node.Pos()).Filename)
	o.tool.Exports = append(o.tool.Exports, Export{text, o.doc.Synopsis(comment), file, name})
}

// values adds constants or variables, a group in one line. In place of a name that is not exported
// go/doc has a blank one.
func (o outliner) values(list []*doc.Value) {
	for _, v := range list {
		names := slices.DeleteFunc(slices.Clone(v.Names), func(name string) bool { return name == "_" })
		if len(names) > 0 {
			o.add(v.Decl, names[0], v.Decl.Tok.String()+" "+strings.Join(names, ", "), v.Doc)
		}
	}
}

func (o outliner) funcs(list []*doc.Func) {
	for _, f := range list {
		name := stages.Receiver(f.Decl) + f.Name
		if f.Level > 0 { // a method of an embedded type that is not exported
			name = strings.TrimPrefix(f.Orig, "*") + "." + f.Name
		}
		o.add(f.Decl, name, oneLine(o.set, &ast.FuncDecl{Recv: f.Decl.Recv, Name: f.Decl.Name, Type: f.Decl.Type}), f.Doc)
	}
}

// typeText is a type's declaration without its fields or methods.
func typeText(set *token.FileSet, kind *doc.Type) string {
	spec := kind.Decl.Specs[0].(*ast.TypeSpec) // doc makes a declaration of each
	head := "type " + kind.Name + " "
	if spec.Assign.IsValid() {
		head += "= "
	}
	switch spec.Type.(type) {
	case *ast.StructType:
		return head + "struct"
	case *ast.InterfaceType:
		return head + "interface"
	}
	return head + oneLine(set, spec.Type)
}

// oneLine is a node as gofmt writes it, with its line breaks taken out.
func oneLine(set *token.FileSet, node ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, set, node); err != nil {
		return err.Error() // a node that was parsed can be printed
	}
	return strings.NewReplacer("( ", "(", ", )", ")").Replace(strings.Join(strings.Fields(b.String()), " "))
}
