// The flags of box daemon.

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"stagebox/stage09-daemon/credentials"
	"stagebox/stage09-daemon/sockets"
)

type daemonCmd struct {
	Hosts   []string `name:"host" short:"H" sep:"none" help:"Address to listen on: unix://PATH, fd:// for the sockets of a systemd unit, or tcp://HOST:PORT for clients with a certificate (default: /run/stagebox.sock for root, $$XDG_RUNTIME_DIR/stagebox.sock for others)." placeholder:"ADDRESS"`
	Group   string   `short:"G" help:"Group that may use the socket too (default: none). A user of it is as good as root." placeholder:"NAME|GID"`
	Explain bool     `help:"Print each request, its handler, its job and the system calls of that job."`

	sockets.Certificates

	Store Store `embed:""`
}

// Run is `box daemon`.
func (c *daemonCmd) Run() error {
	if err := c.Store.openImages(); err != nil {
		return err
	}
	credentials.Sweep()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	all, err := c.listen()
	if err != nil {
		return err
	}
	for _, l := range all {
		fmt.Fprintf(os.Stderr, "listening on %s://%s\n", l.Addr().Network(), l.Addr())
	}
	return c.Store.serve(ctx, all, c.Explain)
}

// listen listens on all addresses.
func (c *daemonCmd) listen() (all []net.Listener, err error) {
	hosts := c.Hosts
	if err := c.CheckUsed(hosts); err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		path, err := defaultSocket()
		if err != nil {
			return nil, err
		}
		hosts = []string{"unix://" + path}
	}
	for _, host := range hosts {
		some, err := c.listenOn(host)
		if err != nil {
			return nil, errors.Join(err, sockets.Close(all))
		}
		all = append(all, some...)
	}
	return all, nil
}

// listenOn listens on an address.
func (c *daemonCmd) listenOn(host string) ([]net.Listener, error) {
	scheme, address, _ := strings.Cut(host, "://")
	var l net.Listener
	var err error
	switch {
	case scheme == "fd" && address == "":
		return sockets.Inherited()
	case scheme == "tcp":
		l, err = c.Certificates.TCP(address)
	case scheme == "unix" && address != "":
		l, err = listenAt(address, c.Group)
	default:
		err = fmt.Errorf("-H %s: not an address; use unix://PATH, fd:// or tcp://HOST:PORT", host)
	}
	return []net.Listener{l}, err
}

// defaultSocket is the path of the socket where no address is given.
func defaultSocket() (string, error) {
	dir := "/run"
	if os.Geteuid() != 0 {
		dir = os.Getenv("XDG_RUNTIME_DIR")
	}
	if dir == "" {
		return "", errors.New("XDG_RUNTIME_DIR is not set: name a socket with -H unix://PATH")
	}
	return dir + "/stagebox.sock", nil
}
