package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"stagebox/lessons/internal/pictures"
	"stagebox/lessons/internal/stages"
)

// picturesCmd draws the pictures that the lessons show.
type picturesCmd struct{}

// Run writes those that can be drawn here, and says which cannot.
func (picturesCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	all, err := stages.All(root)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, p := range pictures.All(all) {
		svg, err := p.Draw(ctx)
		if errors.Is(err, pictures.ErrMissing) {
			fmt.Println("left as it is:", err)
			continue
		}
		if err != nil {
			return err
		}
		path := filepath.Join(root, p.File())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(svg), 0o644); err != nil {
			return err
		}
		fmt.Println("drawn:", p.File())
	}
	return nil
}
