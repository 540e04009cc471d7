package remote

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dial connects to a daemon. To one behind tcp:// this process shows the certificate that the docker
// command would: ca.pem, cert.pem and key.pem of DOCKER_CERT_PATH.
func dial(address string) (net.Conn, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	var conn net.Conn
	var err error
	switch {
	case scheme == "unix" && rest != "":
		conn, err = net.Dial("unix", rest)
	case scheme == "tcp" && rest != "":
		conn, err = dialTLS(rest)
	default:
		return nil, fmt.Errorf("-H %s: not an address; use unix://PATH or tcp://HOST:PORT", address)
	}
	if errors.Is(err, unix.ENOENT) && scheme == "unix" || errors.Is(err, unix.ECONNREFUSED) {
		err = fmt.Errorf("%w; no daemon is running there: box daemon -H %s starts one", err, address)
	}
	if err != nil {
		return nil, fmt.Errorf("-H %s: %w", address, err)
	}
	return conn, nil
}

func dialTLS(address string) (net.Conn, error) {
	dir := cmp.Or(os.Getenv("DOCKER_CERT_PATH"), configDir())
	file := func(name string) string { return filepath.Join(dir, name) }
	authority, err := os.ReadFile(file("ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("%w; name the directory of ca.pem, cert.pem and key.pem with DOCKER_CERT_PATH", err)
	}
	servers := x509.NewCertPool()
	if !servers.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s: no certificate in it", file("ca.pem"))
	}
	own, err := tls.LoadX509KeyPair(file("cert.pem"), file("key.pem"))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: servers, Certificates: []tls.Certificate{own}}
	return tls.Dial("tcp", address, config)
}
