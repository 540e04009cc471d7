package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"stagebox/lessons/internal/site"
	"stagebox/lessons/internal/stages"
)

// siteCmd writes the workshop's pages.
type siteCmd struct {
	Dir string `arg:"" help:"Directory to write to; it is created if missing." type:"path"`
}

// Run builds every stage, for the lists of system calls.
func (c *siteCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	pages, err := site.Load(root, new(site.Builds).Calls, false)
	if err != nil {
		return err
	}
	if err := pages.Write(ctx, c.Dir); err != nil {
		return err
	}
	fmt.Printf("%d files in %s; begin with index.html\n", len(pages.Paths()), c.Dir)
	return nil
}
