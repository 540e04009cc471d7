package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"

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
	if err := c.check(); err != nil {
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

// check refuses a directory of other files, such as the repository's own: among them, ninety pages
// would be hard to find and remove.
func (c *siteCmd) check() error {
	entries, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "index.html")); err != nil {
		return fmt.Errorf("%s holds other files, and no index.html of a site: name another directory", c.Dir)
	}
	return nil
}
