// Package difference compares two stages the way a reader wants to see them: the lesson
// before the commands, in each changed files first and new files last, and every declaration
// that did not change folded to one line. A tool, which is new as a whole, is folded to its
// package comment and what it exports. It yields data, which a terminal or a page may show.
package difference

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stagebox/lessons/internal/stages"
)

// File is a file that differs.
type File struct {
	Name           string
	New, Gone      bool
	Lines          []Line
	Added, Removed int
	Code           int // lines that were added and are neither blank nor a comment
	Changes        []Change
}

// Tier is the part of the stage's code that the file belongs to.
func (f File) Tier() stages.Tier { return stages.TierOf(f.Name) }

// Dirs compares the Go files of two directories; before may be "", an empty one. Tests
// are left out unless asked for. Files that are alike are left out. Those of the lesson come
// first, then those of the commands.
func Dirs(before, after string, tests bool) ([]File, error) {
	old, err := goFiles(before, tests)
	if err != nil {
		return nil, err
	}
	now, err := goFiles(after, tests)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, name := range union(old, now) {
		from, to := filepath.Join(before, name), filepath.Join(after, name)
		wasThere, isThere := slices.Contains(old, name), slices.Contains(now, name)
		if wasThere && isThere && alike(from, to) { // as most are: they need no parsing
			continue
		}
		f, err := compare(name, from, to, wasThere, isThere)
		if err != nil {
			return nil, err
		}
		if f.New || f.Added+f.Removed > 0 {
			files = append(files, f)
		}
	}
	slices.SortStableFunc(files, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Tier(), b.Tier()), cmp.Compare(rank(a), rank(b)))
	})
	return files, nil
}

// alike reports whether two files have the same bytes. One that cannot be read is left to compare.
func alike(before, after string) bool {
	old, err1 := os.ReadFile(before)
	now, err2 := os.ReadFile(after)
	return err1 == nil && err2 == nil && bytes.Equal(old, now)
}

// Compare compares a file of two directories; before may be "", an empty one.
func Compare(name, before, after string) (File, error) {
	exists := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return dir != "" && err == nil // another error is that of reading it
	}
	return compare(name, filepath.Join(before, name), filepath.Join(after, name), exists(before), exists(after))
}

// rank puts new files after those that have changed.
func rank(f File) int {
	if f.New {
		return 1
	}
	return 0
}

func goFiles(dir string, tests bool) ([]string, error) {
	if dir == "" {
		return nil, nil
	}
	return stages.Stage{Dir: dir}.Files(tests)
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// compare compares one file, which may be missing on either side.
func compare(name, before, after string, wasThere, isThere bool) (File, error) {
	f := File{Name: name, New: !wasThere, Gone: !isThere}
	old, err1 := readLines(before, wasThere)
	now, err2 := readLines(after, isThere)
	if err := errors.Join(err1, err2); err != nil {
		return f, err
	}
	lines := Lines(old, now)
	for _, line := range lines {
		switch text := strings.TrimSpace(line.Text); {
		case line.Kind == Removed:
			f.Removed++
		case line.Kind == Added:
			f.Added++
			if text != "" && !strings.HasPrefix(text, "//") {
				f.Code++
			}
		}
	}
	decls := declarations(now)
	f.Changes = changes(lines, declarations(old), decls)
	if f.Lines = lines; !f.New && !f.Gone {
		f.Lines = fold(lines, decls)
	}
	return f, nil
}

func readLines(path string, exists bool) ([]string, error) {
	if !exists {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), nil
}

// declaration is a top-level declaration with its comment: the lines from first to last.
type declaration struct {
	first, last int
	title       string
}

// declarations are those of a Go file. One that does not parse has none: then nothing is
// folded but what is far from any change.
func declarations(lines []string) []declaration {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", strings.Join(lines, "\n"), parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	var list []declaration
	for _, d := range file.Decls {
		first := set.Position(d.Pos()).Line
		title := strings.TrimSuffix(lines[first-1], "{")
		var doc *ast.CommentGroup
		switch d := d.(type) {
		case *ast.FuncDecl:
			doc = d.Doc
		case *ast.GenDecl:
			doc = d.Doc
		}
		if doc != nil {
			first = set.Position(doc.Pos()).Line
		}
		list = append(list, declaration{first, set.Position(d.End()).Line, strings.TrimSpace(title)})
	}
	return list
}

// short is the length up to which a changed declaration is shown whole, if it is not an import.
const short = 40

// fold replaces each declaration without a change by one line, and shortens what is kept
// elsewhere to three lines around a change.
func fold(lines []Line, decls []declaration) []Line {
	var out []Line
	for len(lines) > 0 {
		n := next(lines, decls)
		part := lines[:n]
		d := within(part, decls)
		switch {
		case !changed(part) && d != nil:
			out = append(out, Line{Folded, 0, d.first, d.title})
		case d != nil && n <= short && !strings.HasPrefix(d.title, "import"):
			out = append(out, part...)
		default:
			out = append(out, near(part)...)
		}
		lines = lines[n:]
	}
	return join(out)
}

// next is how many of the lines belong together: to one declaration, or to none.
func next(lines []Line, decls []declaration) int {
	d := at(lines[0], decls)
	for i, line := range lines {
		if line.New != 0 && at(line, decls) != d {
			if lines[0].New == 0 && d == nil { // removed lines in front of a declaration belong to it
				d = at(line, decls)
				continue
			}
			return i
		}
	}
	return len(lines)
}

func at(line Line, decls []declaration) *declaration {
	for i, d := range decls {
		if line.New >= d.first && line.New <= d.last {
			return &decls[i]
		}
	}
	return nil
}

func within(part []Line, decls []declaration) *declaration {
	for _, line := range part {
		if d := at(line, decls); d != nil {
			return d
		}
	}
	return nil
}

func changed(lines []Line) bool {
	return slices.ContainsFunc(lines, func(l Line) bool { return l.Kind != Kept })
}

// near keeps the lines that are at most three away from a change.
func near(lines []Line) []Line {
	var out []Line
	for i, line := range lines {
		if changed(lines[max(0, i-3):min(len(lines), i+4)]) {
			out = append(out, line)
		}
	}
	return out
}

// join makes one line of several folded declarations in a row, and leaves out blank lines
// between them.
func join(lines []Line) []Line {
	var out []Line
	for _, line := range lines {
		last := len(out) - 1
		switch {
		case line.Kind == Kept && line.Text == "" && (last < 0 || out[last].Kind == Folded):
		case line.Kind == Folded && last >= 0 && out[last].Kind == Folded:
			out[last].Text += "\n" + line.Text
		default:
			out = append(out, line)
		}
	}
	return out
}

// Titles are the declarations that a folded line stands for.
func (l Line) Titles() []string { return strings.Split(l.Text, "\n") }

// Brief names what a folded line stands for in one line of at most width characters.
func (l Line) Brief(width int) string {
	titles := l.Titles()
	names := make([]string, len(titles))
	for i, title := range titles {
		names[i] = name(title)
	}
	text := fmt.Sprintf("%d unchanged: %s", len(titles), strings.Join(names, ", "))
	if runes := []rune(text); len(runes) > width {
		text = string(runes[:width-1]) + "…"
	}
	return text
}

// name is what a declaration's first line declares: "func (p *Plan) Mount(…" is Plan.Mount.
func name(title string) string {
	rest, isFunc := strings.CutPrefix(title, "func ")
	if !isFunc {
		if words := strings.Fields(title); len(words) > 1 {
			return strings.Trim(words[0]+" "+words[1], "( ")
		}
		return strings.Trim(title, "( ")
	}
	receiver := ""
	if strings.HasPrefix(rest, "(") {
		recv, after, _ := strings.Cut(rest[1:], ") ")
		words := strings.Fields(recv)
		receiver, rest = strings.TrimPrefix(words[len(words)-1], "*")+".", after
	}
	bare, _, _ := strings.Cut(rest, "(")
	return receiver + bare
}
