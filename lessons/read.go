package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/formatters"
	"github.com/alecthomas/chroma/v2/lexers"
	"github.com/alecthomas/chroma/v2/styles"
	"golang.org/x/term"

	"stagebox/lessons/internal/paths"
	"stagebox/lessons/internal/stages"
)

// readCmd prints the reading path of a stage.
type readCmd struct {
	Stage int  `arg:"" help:"Stage to read."`
	List  bool `help:"Print only the names and the notes."`
	Color bool `help:"Use colour even if the output is not a terminal." negatable:"" default:"${color}"`
}

// Run is `lessons read`.
func (c *readCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	if _, err := stages.Get(root, c.Stage); err != nil {
		return err
	}
	all, err := stages.All(root)
	if err != nil {
		return err
	}
	path, err := paths.Read(all, c.Stage)
	if err != nil {
		return err
	}
	return paged(func(w io.Writer) error {
		if c.List {
			return c.list(w, path)
		}
		return c.read(w, path)
	})
}

// list prints a line an entry.
func (c *readCmd) list(w io.Writer, p paths.Path) error {
	width := 0
	for _, e := range p.Entries {
		width = max(width, len(e.String()))
	}
	for _, e := range p.Entries {
		if e.Section != "" {
			fmt.Fprintf(w, "\n%s\n", paint(c.Color, "1", e.Section))
		}
		fmt.Fprintf(w, "%-*s %5d  %s\n", width, e, len(e.Code), e.Sentence)
	}
	_, err := fmt.Fprintf(w, "\n%d lines\n", p.Lines())
	return err
}

// read prints the code of each entry, below the sentence that says what to see.
func (c *readCmd) read(w io.Writer, p paths.Path) error {
	fmt.Fprintf(w, "%s\n", paint(c.Color, "1", fmt.Sprintf("%s: %d lines to read", p.Stage.Name(), p.Lines())))
	for _, e := range p.Entries {
		if e.Section != "" {
			fmt.Fprintf(w, "\n%s\n", paint(c.Color, "1", "══ "+e.Section+" ══"))
		}
		fmt.Fprintf(w, "\n%s\n", paint(c.Color, "1", "── "+e.String()))
		for _, line := range wrap(e.Sentence, 96) {
			fmt.Fprintf(w, "%s\n", paint(c.Color, "36", "   "+line))
		}
		fmt.Fprintln(w)
		if err := c.code(w, strings.Join(e.Code, "\n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// code prints Go, coloured when that is wanted.
func (c *readCmd) code(w io.Writer, text string) error {
	if !c.Color {
		_, err := io.WriteString(w, text)
		return err
	}
	tokens, err := chroma.Coalesce(lexers.Get("go")).Tokenise(nil, text)
	if err != nil {
		return err
	}
	return formatters.TTY16.Format(w, styles.Get("native"), tokens)
}

// paged gives a writer to what prints much: the reader's pager when standard output is a
// terminal, and standard output otherwise, or when there is no pager.
func paged(print func(io.Writer) error) error {
	pager := os.Getenv("PAGER")
	if pager == "" {
		pager = "less"
	}
	words := strings.Fields(pager)
	if !term.IsTerminal(int(os.Stdout.Fd())) || len(words) == 0 {
		return print(os.Stdout)
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if os.Getenv("LESS") == "" {
		cmd.Env = append(os.Environ(), "LESS=FRX") // colours as they are; a short text stays on the screen
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if cmd.Start() != nil {
		return print(os.Stdout)
	}
	print(in) // a reader who leaves early closes the pipe, which is fine
	in.Close()
	return cmd.Wait()
}
