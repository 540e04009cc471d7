package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/paths"
	"stagebox/lessons/internal/stages"
)

// diffCmd shows what a stage adds to the one before.
type diffCmd struct {
	Stage int  `arg:"" help:"Stage to compare with the one before."`
	Plan  bool `help:"Compare the lists of system calls (box run --dry-run) instead of the code." xor:"what"`
	Stat  bool `help:"Print only the number of lines." xor:"what"`
	Tests bool `help:"Show test files too."`
	All   bool `help:"Show the whole code of new tools, not only their exported names."`

	Changed bool `help:"List only the functions and types that change, in the order of the reading path." xor:"what"`

	Color bool `help:"Use colour even if the output is not a terminal." negatable:"" default:"${color}"`

	out io.Writer
}

// Run is `lessons diff`.
func (c *diffCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	stage, err := stages.Get(root, c.Stage)
	if err != nil {
		return err
	}
	before := stages.Stage{}
	if c.Stage > 1 {
		if before, err = stages.Get(root, c.Stage-1); err != nil {
			return err
		}
	}
	if c.Plan {
		return c.plans(before, stage)
	}
	files, err := difference.Dirs(before.Dir, stage.Dir, c.Tests)
	if err != nil {
		return err
	}
	tools, err := difference.Tools(stage, c.Tests)
	if err != nil {
		return err
	}
	switch {
	case c.Stat:
		return stat(files, tools)
	case c.Changed:
		return c.changed(root, files)
	}
	return paged(func(w io.Writer) error {
		c.out = w
		for _, f := range files {
			c.file(f)
		}
		for _, t := range tools {
			c.tool(t)
		}
		return nil
	})
}

// changed lists the declarations of the flat files that differ.
func (c *diffCmd) changed(root string, files []difference.File) error {
	all, err := stages.All(root)
	if err != nil {
		return err
	}
	path, err := paths.Read(all, c.Stage)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	type row struct {
		name   string
		change difference.Change
		place  int // on the path, from 0; after its end for what is not on it
	}
	var rows []row
	for _, f := range files {
		for _, d := range f.Changes {
			r := row{f.Name + ":" + d.Name, d, len(path.Entries)}
			if i := slices.IndexFunc(path.Entries, func(e paths.Entry) bool { return e.String() == r.name }); i >= 0 {
				r.place = i
			}
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.place, b.place) })
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for i, r := range rows {
		if r.place == len(path.Entries) && i > 0 && rows[i-1].place < r.place {
			fmt.Fprintln(table, "\nnot on the reading path")
		}
		kind := map[bool]string{r.change.New: "new", r.change.Gone: "gone"}[true]
		fmt.Fprintf(table, "%s\t+%d −%d\t%s\n", r.name, r.change.Added, r.change.Removed, kind)
	}
	return table.Flush()
}

// tool prints a package that the stage introduces: its comment and what it exports, or all.
func (c *diffCmd) tool(t difference.Tool) {
	kind := fmt.Sprintf("tool, %d lines in %d files", t.Added(), len(t.Files))
	if len(t.Files) == 1 {
		kind = fmt.Sprintf("tool, %d lines", t.Added())
	}
	if !c.All {
		kind += "; --all shows the code"
	}
	fmt.Fprintf(c.out, "%s\n\n", c.paint("1", "── "+t.Name+"/  "+kind+" "))
	if c.All {
		for _, f := range t.Files {
			c.file(f)
		}
		return
	}
	fmt.Fprintf(c.out, "%s\n\n", t.Comment)
	for _, e := range t.Exports {
		fmt.Fprintln(c.out, "  "+e.Text)
		if e.Synopsis != "" {
			for _, line := range wrap(e.Synopsis, 90) {
				fmt.Fprintln(c.out, c.paint("2", "      "+line))
			}
		}
	}
	fmt.Fprintln(c.out)
}

// file prints a file under its name.
func (c *diffCmd) file(f difference.File) {
	kind := fmt.Sprintf("+%d −%d", f.Added, f.Removed)
	if f.New {
		kind = fmt.Sprintf("new, %d lines", f.Added)
	}
	fmt.Fprintf(c.out, "%s\n\n", c.paint("1", "── "+f.Name+"  "+kind+" "))
	c.lines(f.Lines)
	fmt.Fprintln(c.out)
}

// wrap breaks a text into lines of at most width characters, where words allow it.
func wrap(text string, width int) (lines []string) {
	for word := range strings.FieldsSeq(text) {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+1+len(word) <= width {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

func (c *diffCmd) lines(lines []difference.Line) {
	for i, line := range lines {
		if i > 0 && gap(lines[i-1], line) {
			fmt.Fprintln(c.out, c.paint("2", "   ⋮"))
		}
		switch line.Kind {
		case difference.Added:
			fmt.Fprintln(c.out, c.paint("32", "+ "+line.Text))
		case difference.Removed:
			fmt.Fprintln(c.out, c.paint("31", "- "+line.Text))
		case difference.Folded:
			fmt.Fprintln(c.out, c.paint("2", "   "+line.Brief(100)))
		default:
			fmt.Fprintln(c.out, "  "+line.Text)
		}
	}
}

// gap reports whether lines were left out between two that are shown.
func gap(a, b difference.Line) bool {
	return a.Kind != difference.Folded && b.Kind != difference.Folded && a.New != 0 && b.New > a.New+1
}

func (c *diffCmd) paint(code, text string) string { return paint(c.Color, code, text) }

// paint gives a text the attributes of an SGR sequence, such as "1" for bold.
func paint(color bool, code, text string) string {
	if !color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// colorWanted reports whether standard output is a terminal and NO_COLOR is unset.
func colorWanted() bool {
	_, err := unix.IoctlGetTermios(1, unix.TCGETS)
	return err == nil && os.Getenv("NO_COLOR") == ""
}

// stat prints a table of files and tools and their lines.
func stat(files []difference.File, tools []difference.Tool) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "added\tremoved\tof it code\tfile\t")
	var all [3]int
	row := func(name string, added, removed, code int) {
		fmt.Fprintf(table, "%d\t%d\t%d\t%s\t\n", added, removed, code, name)
		all = [3]int{all[0] + added, all[1] + removed, all[2] + code}
	}
	for _, f := range files {
		name := f.Name
		if f.New {
			name += " (new)"
		}
		row(name, f.Added, f.Removed, f.Code)
	}
	for _, t := range tools {
		row(t.Name+"/ (tool)", t.Added(), 0, t.Code())
	}
	row("in all", all[0], all[1], all[2])
	return table.Flush()
}

// plans compares what the two stages' binaries say that they would do.
func (c *diffCmd) plans(before, after stages.Stage) error {
	ctx, stop := untilStopped()
	defer stop()
	dir, err := os.MkdirTemp("", "stagebox-diff")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var old []string
	if before.Dir != "" {
		if old, err = before.Plan(ctx, dir); err != nil {
			return err
		}
	}
	now, err := after.Plan(ctx, dir)
	if err != nil {
		return err
	}
	return paged(func(w io.Writer) error {
		c.out = w
		if slices.Equal(old, now) {
			_, err := fmt.Fprintf(w, "no difference: %s makes the same calls as %s\n", after.Name(), before.Name())
			return err
		}
		c.lines(difference.Lines(old, now))
		return nil
	})
}
