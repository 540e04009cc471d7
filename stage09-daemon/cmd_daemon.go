// The flags of box daemon.

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

type daemonCmd struct {
	Host    string `short:"H" help:"Unix socket to listen on (default: /run/stagebox.sock for root, $XDG_RUNTIME_DIR/stagebox.sock for others)." placeholder:"unix://PATH"`
	Group   string `short:"G" help:"Group that may use the socket too (default: none). A user of it is as good as root." placeholder:"NAME|GID"`
	Explain bool   `help:"Print each request, its handler, its job and the system calls of that job."`

	Store
}

// Run is `box daemon`.
func (c *daemonCmd) Run() error {
	path, err := c.socket()
	if err != nil {
		return err
	}
	if err := c.Store.openImages(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	socket, err := listenAt(path, c.Group)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "listening on unix://%s\n", path)
	return c.Store.serve(ctx, socket, c.Explain)
}

// socket is the path of the socket to listen on.
func (c *daemonCmd) socket() (string, error) {
	if c.Host == "" {
		dir := "/run"
		if os.Geteuid() != 0 {
			dir = os.Getenv("XDG_RUNTIME_DIR")
		}
		if dir == "" {
			return "", fmt.Errorf("XDG_RUNTIME_DIR is not set: name a socket with -H unix://PATH")
		}
		return dir + "/stagebox.sock", nil
	}
	path, isUnix := strings.CutPrefix(c.Host, "unix://")
	if !isUnix || path == "" {
		return "", fmt.Errorf("-H %s: not the address of a unix socket; use unix://PATH", c.Host)
	}
	return path, nil
}
