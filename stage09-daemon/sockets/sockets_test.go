package sockets_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage09-daemon/sockets"
)

// authority signs certificates, which it writes to files.
type authority struct {
	*testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{T: t, dir: t.TempDir()}
	a.cert, a.key = a.sign("ca", x509.ExtKeyUsageAny)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name+".pem") }

// sign makes NAME.pem and NAME-key.pem. The first certificate signs itself.
func (a *authority) sign(name string, usage x509.ExtKeyUsage) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, IsCA: a.cert == nil, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a, err)
	a.write(name, "CERTIFICATE", der)
	der, err = x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a, err)
	a.write(name+"-key", "PRIVATE KEY", der)
	cert, err := x509.ParseCertificate(pemOf(a.T, a.path(name)))
	require.NoError(a, err)
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) {
	require.NoError(a, os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func pemOf(t *testing.T, path string) []byte {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	return block.Bytes
}

// TestTCP: a client is admitted with a certificate of the authority, and with no other.
func TestTCP(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	for _, a := range []*authority{ours, theirs} {
		a.sign("daemon", x509.ExtKeyUsageServerAuth)
		a.sign("client", x509.ExtKeyUsageClientAuth)
	}
	files := sockets.Certificates{Authority: ours.path("ca"), Own: ours.path("daemon"), Key: ours.path("daemon-key")}
	l, err := files.TCP("127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.NotFoundHandler()}
	go server.Serve(l)
	defer server.Close()
	get := func(certificates ...tls.Certificate) error {
		roots := x509.NewCertPool()
		roots.AddCert(ours.cert)
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certificates}}}
		answer, err := client.Get("https://" + l.Addr().String())
		if err == nil {
			err = answer.Body.Close()
		}
		return err
	}
	for a, admitted := range map[*authority]bool{ours: true, theirs: false} {
		pair, err := tls.LoadX509KeyPair(a.path("client"), a.path("client-key"))
		require.NoError(t, err)
		require.Equal(t, admitted, get(pair) == nil)
	}
	require.ErrorContains(t, get(), "certificate required")
	answer, err := http.Get("http://" + l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusBadRequest, answer.StatusCode, "without TLS")
	for says, files := range map[string]sockets.Certificates{
		"has to show a certificate":       {},
		"are needed":                      {Own: ours.path("daemon"), Key: ours.path("daemon-key")},
		"no certificate in it":            {Authority: ours.path("daemon-key"), Own: ours.path("daemon"), Key: ours.path("daemon-key")},
		"--tlskey " + ours.path("ca-key"): {Authority: ours.path("ca"), Own: ours.path("daemon"), Key: ours.path("ca-key")},
	} {
		_, err := files.TCP("127.0.0.1:0")
		require.ErrorContains(t, err, says)
	}
}

// A daemon with certificates that no client of its sockets is asked for looks safer than it is.
func TestCertificatesNeedAPort(t *testing.T) {
	c := sockets.Certificates{Own: "daemon"}
	require.ErrorContains(t, c.CheckUsed([]string{"unix:///run/x"}), "are for -H tcp://HOST:PORT")
	require.NoError(t, c.CheckUsed([]string{"unix:///run/x", "tcp://localhost:1"}))
	require.NoError(t, sockets.Certificates{}.CheckUsed(nil))
}
