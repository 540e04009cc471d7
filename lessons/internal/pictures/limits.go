package pictures

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// limit is a row of the stage's table: a flag, and the file that it is written to.
type limit struct {
	flag, controller, v2, v1 string
}

// tree is the directory of the limit's controller in version 1.
func (l limit) tree() string {
	name, _, _ := strings.Cut(l.v1, ".")
	return name
}

// drawLimits draws a group in many trees beside one in one tree, from the table in the
// stage's source, which is the same on hosts of either version.
func drawLimits(b *box) (*drawing, error) {
	all, err := limits(filepath.Join(b.stage.Dir, "limits.go"))
	if err != nil {
		return nil, err
	}
	d := newDrawing("One container: five groups, or one",
		"Above, version 1: a process is connected with a group in each of five trees, and each group has one file for one limit. Below, version 2: the process is connected with one group, whose directory has the files of all five limits.")
	y := d.manyTrees(all, 74)
	d.oneTree(all, y+40)
	return d, nil
}

// manyTrees draws version 1.
func (d *drawing) manyTrees(all []limit, y int) int {
	d.text(margin, y, "bold amber", "Version 1: a tree for each controller")
	y += 18
	middle := y + len(all)*66/2 - 4
	for _, l := range all {
		d.line("amber", 90, middle, 112, middle, 112, y+29, 132, y+29)
		d.rect(132, y, 328, 58, "amber")
		d.text(144, y+23, "mono bold", l.tree()+"/box")
		d.text(448, y+23, "end soft", l.flag)
		d.text(144, y+46, "mono amber", l.v1)
		y += 66
	}
	d.process(middle, "amber")
	return y
}

// oneTree draws version 2.
func (d *drawing) oneTree(all []limit, y int) {
	d.text(margin, y, "bold green", "Version 2: one tree for all")
	y += 18
	height := 40 + 26*len(all)
	d.line("green", 90, y+height/2, 132, y+height/2)
	d.rect(132, y, 328, height, "green")
	d.text(144, y+23, "mono bold", "box")
	for i, l := range all {
		d.text(144, y+50+26*i, "mono green", l.v2)
		d.text(448, y+50+26*i, "end soft", l.flag)
	}
	d.process(y+height/2, "green")
}

// process draws it at the left.
func (d *drawing) process(middle int, colour string) {
	d.rect(margin, middle-18, 74, 36, colour)
	d.text(margin+37, middle+5, "mid", "process")
}

// limits reads the table: of each controller the first setting.
func limits(path string) ([]limit, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return nil, err
	}
	var all []limit
	ast.Inspect(file, func(n ast.Node) bool {
		l, ok := limitOf(n)
		if ok && !slices.ContainsFunc(all, func(other limit) bool { return other.controller == l.controller }) {
			all = append(all, l)
		}
		return true
	})
	if len(all) != 5 {
		return nil, fmt.Errorf("%s: settings of 5 controllers are expected, and there are %v", path, all)
	}
	return all, nil
}

// limitOf reads a setting: add(isSet, flag, controller, v2, v1), or the same without isSet as a
// literal of the type.
func limitOf(n ast.Node) (limit, bool) {
	var fields []ast.Expr
	switch n := n.(type) {
	case *ast.CallExpr:
		if isNamed(n.Fun, "add") && len(n.Args) == 5 {
			fields = n.Args[1:]
		}
	case *ast.CompositeLit:
		if isNamed(n.Type, "setting") && len(n.Elts) == 4 {
			fields = n.Elts
		}
	}
	if fields == nil || written(fields[1]) == "…" {
		return limit{}, false
	}
	l := limit{written(fields[0]), written(fields[1]), fileName(fields[2]), fileName(fields[3])}
	if l.controller == "io" {
		l.flag = "--device-…" // one literal stands for four flags
	}
	return l, true
}

// fileName is the name in a literal of a file and its value.
func fileName(e ast.Expr) string {
	if file, ok := e.(*ast.CompositeLit); ok && len(file.Elts) == 2 {
		return written(file.Elts[0])
	}
	return "…"
}

func isNamed(e ast.Expr, name string) bool {
	ident, ok := e.(*ast.Ident)
	return ok && ident.Name == name
}

// written is what an expression is made of, with an ellipsis for what is not a literal.
func written(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
	case *ast.BinaryExpr:
		return written(e.X) + written(e.Y)
	}
	return "…"
}
