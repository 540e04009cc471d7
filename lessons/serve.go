package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/live"
	"stagebox/lessons/internal/site"
	"stagebox/lessons/internal/stages"
)

// serveCmd shows the workshop's pages in a browser of this machine.
type serveCmd struct {
	Port int `help:"Port to listen on; 0 picks a free one." default:"0"`
}

// Run ends with Ctrl-C.
func (c *serveCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	server := &site.Server{
		Root:  root,
		Calls: new(site.Builds).Calls,
		Token: site.NewToken(),
		Live:  live.Handler(),
	}
	l, err := site.Listen(c.Port)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/%s/\nOnly this machine can read it, and only with this address. Ctrl-C ends it.\n", l.Addr(), server.Token)
	return server.Serve(ctx, l)
}
