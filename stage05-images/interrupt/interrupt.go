// Package interrupt ends a command that takes long when the user has had enough: by Ctrl-C, or by
// closing what reads the command's output. No lesson reads it.
package interrupt

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// Context returns a context that ends with Ctrl-C or SIGTERM, or when the output of the command is
// not read. Then stop, which comes after all that cleans up, ends the process with the status of
// SIGPIPE.
func Context() (ctx context.Context, stop func()) {
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	pipes, seen := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(pipes, unix.SIGPIPE) // for a connection to a registry too
	go func() {
		defer close(seen)
		for range pipes {
			if plan.OutputIsClosed() {
				cancel()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(pipes) // all that came are in the channel
		close(pipes)
		<-seen
		if ctx.Err() != nil && plan.OutputIsClosed() {
			os.Exit(128 + int(unix.SIGPIPE))
		}
		cancel()
	}
}
