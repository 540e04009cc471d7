package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"stagebox/lessons/internal/difference"
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
	fmt.Fprintln(table, "STAGE\tLESSON\tCOMMANDS\tTOOLS\tFOLDER\t  WHAT IT DOES")
	var sum difference.Size
	for i, s := range all {
		sentence, err := firstSentence(filepath.Join(s.Dir, "main.go"))
		if err != nil {
			return err
		}
		row(table, s.Name(), sizes[i], sentence)
		sum = sum.Plus(sizes[i])
	}
	row(table, "in all", sum, "")
	if err := table.Flush(); err != nil {
		return err
	}
	last := len(all) - 1
	fmt.Printf(`
Lines, comments among them and tests not: what each stage adds to its lesson, its commands and
its tools, and what lies flat in its folder. A tool exists once; the rest is copied.
Flat in %s: %d lines. In all folders together, with the tools: %d.
`, all[last].Name(), sizes[last].Flat, sum.Flat+sum.Tools)
	return nil
}

// row prints a line of the table; the last column is on the left of its place.
func row(table io.Writer, name string, s difference.Size, what string) {
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t  %s\n", name, s.Lesson, s.Commands, s.Tools, s.Flat, what)
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
