// Package sockets makes the listeners of a daemon besides its own unix socket: those that systemd
// hands over, and TCP ports for clients with a certificate. No lesson reads it.
package sockets

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// first is the number of the first descriptor that systemd hands over.
const first = 3

// Inherited returns the sockets that systemd has opened for this process (sd_listen_fds(3)). TCP
// sockets are not taken: nothing would ask their clients who they are.
func Inherited() ([]net.Listener, error) {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 1 || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, errors.New("-H fd://: systemd has opened no socket for this process; start it by a unit of type socket")
	}
	var all []net.Listener
	for fd := first; fd < first+n; fd++ {
		l, err := inherited(fd)
		if err != nil {
			return nil, errors.Join(err, Close(all))
		}
		all = append(all, l)
	}
	return all, nil
}

func inherited(fd int) (net.Listener, error) {
	unix.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close() // the listener has a copy
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("-H fd://: descriptor %d: %w", fd, err)
	}
	if l.Addr().Network() != "unix" {
		return nil, errors.Join(fmt.Errorf("-H fd://: descriptor %d listens on %s: only unix sockets are taken", fd, l.Addr()), l.Close())
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it is systemd's
	return l, nil
}

// Close closes listeners.
func Close(all []net.Listener) (err error) {
	for _, l := range all {
		err = errors.Join(err, l.Close())
	}
	return err
}

// Certificates are files in PEM form: the authority that signs the certificates of clients, and the
// daemon's own certificate and its key.
type Certificates struct {
	Authority string `name:"tlscacert" help:"For -H tcp://: certificate of the authority that signs the certificates of clients." placeholder:"FILE"`
	Own       string `name:"tlscert" help:"For -H tcp://: certificate of the daemon." placeholder:"FILE"`
	Key       string `name:"tlskey" help:"For -H tcp://: key of the daemon's certificate." placeholder:"FILE"`
}

// TCP listens on HOST:PORT, and admits clients whose certificate the authority has signed.
func (c Certificates) TCP(address string) (net.Listener, error) {
	config, err := c.config()
	if err != nil {
		return nil, fmt.Errorf("-H tcp://%s: %w", address, err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-H tcp://%s: %w", address, err)
	}
	return tls.NewListener(l, config), nil
}

// CheckUsed refuses certificates where no address is one of TCP.
func (c Certificates) CheckUsed(hosts []string) error {
	if c != (Certificates{}) && !slices.ContainsFunc(hosts, func(h string) bool { return strings.HasPrefix(h, "tcp://") }) {
		return errors.New("--tlscacert, --tlscert and --tlskey are for -H tcp://HOST:PORT, and no such address was given")
	}
	return nil
}

func (c Certificates) config() (*tls.Config, error) {
	if c.Authority == "" || c.Own == "" || c.Key == "" {
		return nil, errors.New("a client of this port is as good as root, so it has to show a certificate: --tlscacert, --tlscert and --tlskey are needed")
	}
	authority, err := os.ReadFile(c.Authority)
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("--tlscacert %s: no certificate in it", c.Authority)
	}
	own, err := tls.LoadX509KeyPair(c.Own, c.Key)
	if err != nil {
		return nil, fmt.Errorf("--tlscert %s, --tlskey %s: %w", c.Own, c.Key, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}, nil
}
