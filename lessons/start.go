package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"stagebox/lessons/internal/exercises"
	"stagebox/lessons/internal/stages"
)

// startCmd makes the copy that a student works in.
type startCmd struct {
	Stage int    `arg:"" help:"Stage to copy."`
	Dir   string `arg:"" optional:"" help:"Directory to create, outside the repository (default: one in ~/my-stagebox)."`
}

// Run is `lessons start`.
func (c *startCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	stage, err := stages.Get(root, c.Stage)
	if err != nil {
		return err
	}
	dir, err := c.directory(stage)
	if err != nil {
		return err
	}
	if err := exercises.Start(context.Background(), root, stage, dir); err != nil {
		return err
	}
	if err := remember(c.Stage, dir); err != nil {
		return err
	}
	fmt.Printf("%s is yours: a copy of %s that builds by itself, under its own git.\nThe tools that it imports are below it, where they are in the repository.\n\n", dir, stage.Name())
	return c.tell(root, dir)
}

// directory is where the copy is to be, absolute. The repository itself is ~/stagebox, when it was
// cloned as README says.
func (c *startCmd) directory(stage stages.Stage) (string, error) {
	if c.Dir != "" {
		return filepath.Abs(c.Dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("you have no home directory: name a directory for the copy")
	}
	return filepath.Join(home, "my-stagebox", stage.Name()), nil
}

// remember keeps where the copy is. Hints that were shown stay shown.
func remember(stage int, dir string) error {
	memory, err := exercises.Recall()
	if err != nil {
		return err
	}
	memory.Copies[stage] = dir
	return memory.Keep()
}

// tell lists what can be tried.
func (c *startCmd) tell(root, dir string) error {
	for _, e := range exercises.Of(c.Stage) {
		page, err := e.Read(root)
		if err != nil {
			return err
		}
		fmt.Printf("%s  %-34s %s\n", e.Name, page.Title, e.Path())
	}
	fmt.Printf(`
Read one, change the code, and see:
    cd %s && go build -o box && git diff
    go run ./lessons try %da            # in the repository: whether it is solved
    go run ./lessons try %[2]da --hint     # a hint, and each time one more
`, dir, c.Stage)
	return nil
}
