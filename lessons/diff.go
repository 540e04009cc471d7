package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/stages"
)

// diffCmd shows what a stage adds to the one before.
type diffCmd struct {
	Stage int  `arg:"" help:"The stage to compare with the one before."`
	Plan  bool `help:"Compare the lists of system calls (box run --dry-run) instead of the code."`
	Stat  bool `help:"Only count the lines."`
	Tests bool `help:"Show test files too."`
	All   bool `help:"Show the whole code of a tool, and not only its comment and what it exports."`
	Color bool `help:"Use colour, whether this is a terminal or not." negatable:"" default:"${color}"`
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
	if c.Stat {
		return stat(files, tools)
	}
	for _, f := range files {
		c.file(f)
	}
	for _, t := range tools {
		c.tool(t)
	}
	return nil
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
	fmt.Printf("%s\n\n", c.paint("1", "── "+t.Name+"/  "+kind+" "))
	if c.All {
		for _, f := range t.Files {
			c.file(f)
		}
		return
	}
	fmt.Printf("%s\n\n", t.Comment)
	for _, e := range t.Exports {
		fmt.Println("  " + e.Text)
		if e.Synopsis != "" {
			for _, line := range wrap(e.Synopsis, 90) {
				fmt.Println(c.paint("2", "      "+line))
			}
		}
	}
	fmt.Println()
}

// file prints a file under its name.
func (c *diffCmd) file(f difference.File) {
	kind := fmt.Sprintf("+%d −%d", f.Added, f.Removed)
	if f.New {
		kind = fmt.Sprintf("new, %d lines", f.Added)
	}
	fmt.Printf("%s\n\n", c.paint("1", "── "+f.Name+"  "+kind+" "))
	c.lines(f.Lines)
	fmt.Println()
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
			fmt.Println(c.paint("2", "   ⋮"))
		}
		switch line.Kind {
		case difference.Added:
			fmt.Println(c.paint("32", "+ "+line.Text))
		case difference.Removed:
			fmt.Println(c.paint("31", "- "+line.Text))
		case difference.Folded:
			fmt.Println(c.paint("2", "   "+line.Brief(100)))
		default:
			fmt.Println("  " + line.Text)
		}
	}
}

// gap tells whether lines were left out between two that are shown.
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

// colorWanted is whether standard output is a terminal and nobody asked for none.
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
	dir, err := os.MkdirTemp("", "stagebox-diff")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var old []string
	if before.Dir != "" {
		if old, err = before.Plan(context.Background(), dir); err != nil {
			return err
		}
	}
	now, err := after.Plan(context.Background(), dir)
	if err != nil {
		return err
	}
	c.lines(difference.Lines(old, now))
	return nil
}
