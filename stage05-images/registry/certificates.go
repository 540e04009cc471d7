// The certificates for a registry: Docker's directory certs.d/HOST has those of authorities (*.crt),
// and those by which a client proves who it is (*.cert, each with its *.key).

package registry

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// certificates returns what a connection to a registry trusts, and what it shows.
func certificates(host string) (*tls.Config, error) {
	authorities, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the system's certificates: %w", err)
	}
	dirs := []string{"/etc"}
	if home, err := os.UserConfigDir(); err == nil {
		dirs = append(dirs, home)
	}
	config := &tls.Config{RootCAs: authorities}
	for _, dir := range dirs {
		dir := filepath.Join(dir, "docker/certs.d", host)
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		for _, entry := range entries {
			if err := addCertificate(config, filepath.Join(dir, entry.Name())); err != nil {
				return nil, err
			}
		}
	}
	return config, nil
}

// addCertificate adds what a file of certs.d has.
func addCertificate(config *tls.Config, file string) error {
	switch base, kind := strings.TrimSuffix(file, filepath.Ext(file)), filepath.Ext(file); kind {
	case ".crt":
		pem, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: there is no certificate in PEM form in it", file)
		}
	case ".cert":
		pair, err := tls.LoadX509KeyPair(file, base+".key")
		if err != nil {
			return fmt.Errorf("%s and %s.key: %w; a certificate of an authority is named *.crt",
				file, base, err)
		}
		config.Certificates = append(config.Certificates, pair)
	case ".key":
		if _, err := os.Stat(base + ".cert"); err != nil {
			return fmt.Errorf("%s is the key of %s.cert: %w", file, base, err)
		}
	}
	return nil
}
