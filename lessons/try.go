package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"stagebox/lessons/internal/behave"
	"stagebox/lessons/internal/exercises"
	"stagebox/lessons/internal/stages"
)

// tryCmd checks what a student has made of an exercise.
type tryCmd struct {
	Name string `arg:"" name:"exercise" help:"Exercise to check, such as 3a."`
	Dir  string `arg:"" optional:"" help:"Your copy of the stage (default: the one that start created last)."`
	Hint bool   `help:"Show a hint instead of checking; each call shows one more."`

	Watch bool `help:"Check again whenever a file is saved, until Ctrl-C."`

	Binary string `help:"Check this program, which may be written in any language, instead of a copy." placeholder:"FILE"`
	Every  int    `help:"Once the exercise is solved, also run every Nth row of the stage's behaviour suite." default:"12" placeholder:"N"`
}

// Run is `lessons try`: it fails when the exercise is not solved.
func (c *tryCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	e, err := exercises.Get(c.Name)
	if err != nil {
		return err
	}
	page, err := e.Read(root)
	if err != nil {
		return err
	}
	memory, err := exercises.Recall()
	if err != nil {
		return err
	}
	fmt.Printf("%s. %s (%s)\n", e.Name, page.Title, e.Path())
	if c.Hint {
		return c.unfold(e, page, memory)
	}
	ctx, stop := untilStopped()
	defer stop()
	if c.Watch {
		return c.watch(ctx, e, memory)
	}
	return c.once(ctx, e, memory)
}

// once builds the copy and checks it.
func (c *tryCmd) once(ctx context.Context, e exercises.Exercise, memory exercises.Memory) (err error) {
	binary := c.Binary
	if binary == "" {
		if binary, err = c.build(ctx, e, memory); err != nil {
			return err
		}
	}
	if err := c.goal(ctx, e, binary); err != nil {
		return err
	}
	return c.rest(ctx, e, binary)
}

// watch checks now, and again after each save. A check that is under way ends first.
func (c *tryCmd) watch(ctx context.Context, e exercises.Exercise, memory exercises.Memory) error {
	what := c.Binary
	if what == "" {
		dir, err := c.copyOf(e, memory)
		if err != nil {
			return err
		}
		what = dir
	}
	for {
		seen, err := saved(what)
		if err != nil {
			return err
		}
		if err := c.once(ctx, e, memory); err != nil && ctx.Err() == nil {
			fmt.Println(err)
		}
		fmt.Println("\nwaiting for a save; Ctrl-C ends")
		for now := seen; now == seen; {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(300 * time.Millisecond):
			}
			if now, err = saved(what); err != nil {
				return err
			}
		}
	}
}

// saved is a text that changes when a source below a directory, or a program, is saved.
func saved(path string) (string, error) {
	var state strings.Builder
	err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && name != path {
			return nil // an editor's own file, gone again
		} else if err != nil || entry.IsDir() || name != path && !strings.HasSuffix(name, ".go") {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			fmt.Fprintln(&state, name, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return state.String(), err
}

// unfold shows one hint more than the last time.
func (c *tryCmd) unfold(e exercises.Exercise, page exercises.Page, memory exercises.Memory) error {
	shown := min(memory.Hints[e.Name]+1, len(page.Hints))
	for i, hint := range page.Hints[:shown] {
		fmt.Printf("\nhint %d of %d: %s\n", i+1, len(page.Hints), hint)
	}
	if memory.Hints[e.Name] >= len(page.Hints) {
		fmt.Printf("\nThese are all. The solution that was kept: %s\n", e.Patch())
	}
	memory.Hints[e.Name] = shown
	return memory.Keep()
}

// copyOf is the directory to look in.
func (c *tryCmd) copyOf(e exercises.Exercise, memory exercises.Memory) (string, error) {
	dir := memory.Copies[e.Stage]
	if c.Dir != "" {
		dir = c.Dir
	}
	if dir == "" {
		return "", fmt.Errorf("no copy of stage %d is known: make one with go run ./lessons start %[1]d, or name yours: go run ./lessons try %s DIR", e.Stage, e.Name)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return "", fmt.Errorf("%s is not a copy of a stage, it has no go.mod: go run ./lessons start %d DIR makes one", dir, e.Stage)
	}
	return dir, nil
}

// build builds the copy, in its own directory, where a second time takes no time.
func (c *tryCmd) build(ctx context.Context, e exercises.Exercise, memory exercises.Memory) (string, error) {
	dir, err := c.copyOf(e, memory)
	if err != nil {
		return "", err
	}
	fmt.Printf("in %s: go build -o box .\n", dir)
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", "box", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	return filepath.Join(dir, "box"), nil
}

// goal reports for each of the exercise's rows what was run, expected and seen.
func (c *tryCmd) goal(ctx context.Context, e exercises.Exercise, binary string) error {
	temp, err := os.MkdirTemp("", "stagebox-try")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	maker := ""
	if e.Maker {
		maker = filepath.Join(temp, "box")
		if err := buildStage(ctx, e.Stage+1, maker); err != nil {
			return err
		}
	}
	sheet := checkSheet{out: os.Stdout, verbose: true}
	if err := e.Goal(ctx, binary, maker, sheet.row); err != nil {
		return err
	}
	fmt.Println()
	switch {
	case sheet.failed > 0:
		return fmt.Errorf("%s is not solved yet: the task is in %s, for a hint: go run ./lessons try %[1]s --hint", e.Name, e.Path())
	case sheet.held == 0:
		return fmt.Errorf("nothing of %s could be checked here, for the reasons above", e.Name)
	}
	return nil
}

// rest shows the rows that do not hold any more.
func (c *tryCmd) rest(ctx context.Context, e exercises.Exercise, binary string) error {
	sheet, held := checkSheet{out: os.Stdout}, 0
	suite := e.Rest(binary, c.Every)
	looked, all, onScreen := 0, len(suite.Rows()), term.IsTerminal(int(os.Stdout.Fd()))
	err := suite.Run(ctx, func(r behave.Result) {
		if looked++; onScreen {
			fmt.Printf("\r\x1b[Kwhat else the stage can do: row %d of %d\r", min(looked, all), all)
		}
		switch {
		case r.OK():
			held++
		case r.Skipped == "":
			sheet.row(r)
		}
	})
	if onScreen {
		fmt.Print("\x1b[K") // the line with the count
	}
	if err != nil {
		return err
	}
	if sheet.failed > 0 {
		return errors.New("that much is solved, and something else does not hold any more: see above")
	}
	fmt.Printf("%s is solved, and %d rows of the behaviour suite still hold", e.Name, held)
	if c.Every > 1 {
		fmt.Print("; --every 1 runs all of them")
	}
	fmt.Println()
	return nil
}
