package main

import (
	"fmt"
	"go/parser"
	"go/token"
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
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STAGE\tLINES\tNEW\tCODE\tWHAT IT DOES")
	before, lines := "", 0
	for _, s := range all {
		files, err := difference.Dirs(before, s.Dir, false)
		if err != nil {
			return err
		}
		added, code := 0, 0
		for _, f := range files {
			lines += f.Added - f.Removed
			added, code = added+f.Added, code+f.Code
		}
		sentence, err := firstSentence(filepath.Join(s.Dir, "main.go"))
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\n", s.Name(), lines, added, code, sentence)
		before = s.Dir
	}
	return table.Flush()
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
