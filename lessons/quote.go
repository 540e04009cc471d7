package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"stagebox/lessons/internal/quotes"
	"stagebox/lessons/internal/stages"
	"stagebox/stage04-unionfs/state"
)

// quoteCmd fills in the code that lessons quote.
type quoteCmd struct{}

// Run is `lessons quote`.
func (quoteCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	all, err := stages.All(root)
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := quote(all, s, filepath.Join(root, s.Lesson())); err != nil {
			return fmt.Errorf("%s: %w", s.Lesson(), err)
		}
	}
	return nil
}

// quote fills in the code of one lesson, and writes the page if that changes it.
func quote(all []stages.Stage, s stages.Stage, path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	filled, n, err := quotes.Fill(all, s.Number, string(text))
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d quotes\n", s.Lesson(), n)
	if filled == string(text) {
		return nil
	}
	return state.Write(path, []byte(filled), 0o644, state.Durable)
}
