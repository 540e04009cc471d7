package main

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/paths"
	"stagebox/lessons/internal/stages"
)

// listCmd lists the stages.
type listCmd struct{}

// Run is `lessons list`.
func (listCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	all, err := stages.All(root)
	if err != nil {
		return err
	}
	sizes, err := difference.Sizes(all)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "STAGE\tLESSON\tCOMMANDS\tTOOLS\tFOLDER\tPATH\t  WHAT IT DOES")
	var sum difference.Size
	total := 0
	for i, s := range all {
		path, err := paths.Read(all, s.Number)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total += path.Lines()
		sentence, err := firstSentence(filepath.Join(s.Dir, "main.go"))
		if err != nil {
			return err
		}
		row(table, s.Name(), sizes[i], path.Lines(), sentence)
		sum = sum.Plus(sizes[i])
	}
	row(table, "in all", sum, total, "")
	if err := table.Flush(); err != nil {
		return err
	}
	last := len(all) - 1
	fmt.Printf(`
Lines, comments among them and tests not: what each stage adds to its lesson, its commands and
its tools, and what lies flat in its folder. A tool exists once; the rest is copied. PATH is
what a reader of the stage reads (go run ./lessons read N).
Flat in %s: %d lines. In all folders together, with the tools: %d.
`, all[last].Name(), sizes[last].Flat, sum.Flat+sum.Tools)
	return nil
}

// row prints a line of the table; the last column is on the left of its place.
func row(table io.Writer, name string, s difference.Size, path int, what string) {
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t  %s\n", name, s.Lesson, s.Commands, s.Tools, s.Flat, path, what)
}

// firstSentence is that of a file's package comment.
func firstSentence(path string) (string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil {
		return "", err
	}
	sentence, _, _ := strings.Cut(strings.Join(strings.Fields(file.Doc.Text()), " "), ". ")
	return strings.TrimSuffix(sentence, "."), nil
}
