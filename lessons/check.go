package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"stagebox/lessons/internal/behave"
	"stagebox/lessons/internal/stages"
)

// checkCmd prints what the behaviour suite finds.
type checkCmd struct {
	Stage      int    `arg:"" help:"Stage whose behaviour, and that of all earlier ones, is expected."`
	Binary     string `arg:"" optional:"" help:"Program to check, such as your own (default: the repository's stage, built first)."`
	Verbose    bool   `short:"v" help:"Show what each row ran, expected and saw, with the program and with the broken one."`
	Slow       bool   `help:"Also run the rows that take many seconds."`
	Only       string `help:"Run only rows whose names contain these words." placeholder:"WORDS"`
	NoControls bool   `help:"Skip the controls: broken programs that show that each row can fail."`
	Jobs       int    `short:"j" help:"Number of rows to run in parallel (default: three per CPU)." placeholder:"N"`
	VM         bool   `name:"vm" help:"Check in a virtual machine that has only cgroup version 2."`
}

// Run fails when a row does not hold. The repository is needed only to build from it.
func (c *checkCmd) Run() error {
	ctx, stop := untilStopped()
	defer stop()
	binary := c.Binary
	if binary == "" {
		dir, err := os.MkdirTemp("", "stagebox-build")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "box")
		if err := buildStage(ctx, c.Stage, binary); err != nil {
			return err
		}
	}
	if c.VM {
		return c.checkInMachine(ctx, binary)
	}
	return c.check(ctx, binary, os.Stdout)
}

func buildStage(ctx context.Context, number int, binary string) error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	stage, err := stages.Get(root, number)
	if err != nil {
		return err
	}
	return stage.Build(ctx, binary)
}

// check prints a row a line, and a line that sums up.
func (c *checkCmd) check(ctx context.Context, binary string, out io.Writer) error {
	suite := behave.Suite{Binary: binary, Stage: c.Stage, Words: c.Only, Slow: c.Slow, Long: c.Slow, Controls: !c.NoControls, Workers: c.Jobs}
	if last := behave.Last(); c.Stage < 1 || c.Stage > last {
		return fmt.Errorf("there is no stage %d: the rows are about stages 1 to %d", c.Stage, last)
	}
	if len(suite.Rows()) == 0 {
		return fmt.Errorf("no row up to stage %d has %q in its name, or all that have are slow: add --slow", c.Stage, c.Only)
	}
	begin, sheet := time.Now(), checkSheet{out: out, verbose: c.Verbose}
	if err := suite.Run(ctx, sheet.row); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d rows hold, %d do not, %d were not run, in %.1f s\n", sheet.held, sheet.failed, sheet.skipped, time.Since(begin).Seconds())
	switch {
	case sheet.failed > 0:
		return fmt.Errorf("%s does not do all that stage %d can do", binary, c.Stage)
	case sheet.held == 0:
		return fmt.Errorf("nothing could be checked here; go run ./lessons doctor %d may know why", c.Stage)
	}
	return nil
}

// checkSheet is what is written, and the counts.
type checkSheet struct {
	out                   io.Writer
	verbose               bool
	as                    string // whose rows are being written
	held, failed, skipped int
}

func (s *checkSheet) row(r behave.Result) {
	if r.As != s.as {
		s.as = r.As
		fmt.Fprintf(s.out, "\nas %s:\n", s.as)
	}
	switch {
	case r.Skipped != "":
		s.skipped++
		fmt.Fprintf(s.out, "skip %s: %s\n", r.Row.Name, r.Skipped)
		return
	case r.OK():
		s.held++
		fmt.Fprintf(s.out, "ok   %s\n", r.Row.Name)
	default:
		s.failed++
		fmt.Fprintf(s.out, "FAIL %s\n", r.Row.Name)
	}
	if s.verbose || !r.Holds {
		s.outcome(r.Outcome)
	}
	if r.Control != nil && (s.verbose || r.Control.Holds) {
		s.control(r)
	}
}

// outcome writes a command a line, and then one line each.
func (s *checkSheet) outcome(o behave.Outcome) {
	s.field("ran", strings.Join(o.Ran, "\n"))
	s.field("expected", o.Expected)
	s.field("saw", o.Saw)
}

func (s *checkSheet) control(r behave.Result) {
	if r.Control.Holds {
		s.field("but", "the row holds as well for this broken program, so it cannot fail:")
	} else {
		s.field("broken", "with this program the row fails, as it should:")
	}
	s.field("", r.Row.Broken)
	s.field("saw", r.Control.Saw)
}

func (s *checkSheet) field(name, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(s.out, "     %-9s %s\n", name, line)
		name = ""
	}
}
