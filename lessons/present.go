package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"

	"stagebox/lessons/internal/present"
	"stagebox/lessons/internal/stages"
	"stagebox/lessons/internal/transcript"
	"stagebox/lessons/internal/verify"
)

// presentCmd plays a lesson before an audience.
type presentCmd struct {
	Typing time.Duration `help:"Time to take for each typed letter." default:"30ms"`
	Notes  string        `help:"File or terminal (the name that tty prints there) to write the speaker's notes to." placeholder:"FILE"`
	Scene  int           `help:"Number of the scene to begin with." placeholder:"N"`
	Lesson int           `arg:"" help:"Number of the lesson."`
}

// Run builds the stage, and plays its lesson on the terminal that it was started in.
func (c *presentCmd) Run() error {
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		return errors.New("present needs a terminal: it waits for keys, and shows what terminals show")
	}
	root, err := stages.Root()
	if err != nil {
		return err
	}
	stage, err := stages.Get(root, c.Lesson)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(root, stage.Lesson()))
	if err != nil {
		return err
	}
	title, scenes, err := present.Script(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", stage.Lesson(), err)
	}
	var notes io.Writer
	if c.Notes != "" {
		file, err := os.OpenFile(c.Notes, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
		if err != nil {
			return fmt.Errorf("--notes: %w", err)
		}
		defer file.Close()
		notes = file
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	fmt.Printf("building %s …\n", stage.Name())
	bin, err := binDir(ctx, root, stage)
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	return raw(func() error {
		show := present.Show{Title: title, Scenes: scenes, Notes: notes, First: c.Scene, Width: width, Typing: c.Typing,
			Session: transcript.Session{Bin: bin, User: 65534, Patience: 2 * time.Minute}}
		return show.Run(ctx, os.Stdin, os.Stdout)
	})
}

// binDir is a directory with a stage's box that every user may run, and what else its lesson
// needs.
func binDir(ctx context.Context, root string, stage stages.Stage) (dir string, err error) {
	if dir, err = os.MkdirTemp("", "stagebox-present"); err != nil {
		return "", err
	}
	if err = os.Chmod(dir, 0o755); err == nil {
		err = stage.Build(ctx, filepath.Join(dir, "box"))
	}
	for _, program := range verify.Programs[stage.Topic] {
		err = errors.Join(err, stages.Compile(ctx, root, "./"+program, filepath.Join(dir, filepath.Base(program))))
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// raw does something while the terminal hands on every key as it is, and gives it back as it
// was, also when that fails or panics.
func raw(do func() error) (err error) {
	before, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err != nil {
		return fmt.Errorf("the terminal's mode: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(int(os.Stdin.Fd()), before)) }()
	return do()
}

// width of the terminal, now.
func width() int {
	if columns, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && columns > 0 {
		return columns
	}
	return 80
}
