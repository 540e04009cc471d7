package exercises

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Page is the content of an exercise's Markdown file.
type Page struct {
	Title string   // "A limit on processes"
	Task  string   // all from the title to the hints
	Hints []string // each a paragraph; the first says least
}

// Path is the exercise's page below the repository's root.
func (e Exercise) Path() string { return filepath.Join("lessons", "exercises", e.Name+".md") }

// Patch is the solution that was kept, below the repository's root.
func (e Exercise) Patch() string { return filepath.Join("lessons", "exercises", e.Name+".patch") }

// Read reads the exercise's page.
func (e Exercise) Read(root string) (Page, error) {
	text, err := os.ReadFile(filepath.Join(root, e.Path()))
	if err != nil {
		return Page{}, err
	}
	page, err := parse(e.Name, string(text))
	if err != nil {
		return Page{}, fmt.Errorf("%s: %w", e.Path(), err)
	}
	return page, nil
}

// hint begins a hint: a number at the beginning of a line.
var hint = regexp.MustCompile(`(?m)^\d+\. +`)

// parse takes a page apart: a heading "# 1a. Title", the task, "## Hints", which are
// numbered, and "## What is checked".
func parse(name, text string) (Page, error) {
	head, body, _ := strings.Cut(text, "\n")
	title, ok := strings.CutPrefix(head, "# "+name+". ")
	if !ok {
		return Page{}, fmt.Errorf("the first line is %q and not \"# %s. \" and a title", head, name)
	}
	task, rest, ok := strings.Cut(body, "\n## Hints\n")
	hints, _, ok2 := strings.Cut(rest, "\n## What is checked\n")
	if !ok || !ok2 {
		return Page{}, fmt.Errorf("it has no \"## Hints\", or no \"## What is checked\" behind it")
	}
	page := Page{Title: title, Task: strings.TrimSpace(task)}
	for _, text := range hint.Split(hints, -1)[1:] {
		page.Hints = append(page.Hints, strings.TrimSpace(strings.ReplaceAll(text, "\n   ", "\n")))
	}
	if len(page.Hints) == 0 {
		return Page{}, fmt.Errorf("there is no numbered hint")
	}
	return page, nil
}
