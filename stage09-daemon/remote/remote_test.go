package remote_test

import (
	"archive/tar"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage01-namespaces/plan"
	"stagebox/stage09-daemon/remote"
	"stagebox/stage09-daemon/rest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestHost(t *testing.T) {
	for _, c := range [][3]string{{"", "", ""}, {"ps", "", "ps"}, {"run -H x", "", "run -H x"}, {"-H unix:///s ps -a", "unix:///s", "ps -a"},
		{"-Hunix:///s ps", "unix:///s", "ps"}, {"-H=unix:///s ps", "unix:///s", "ps"}, {"--host=tcp://a:1 ps", "tcp://a:1", "ps"}, {"--host tcp://a:1", "tcp://a:1", ""}} {
		address, words, err := remote.Host(strings.Fields(c[0]))
		require.NoError(t, err, c[0])
		require.Equal(t, [2]string(c[1:]), [2]string{address, strings.Join(words, " ")}, c[0])
	}
	_, _, err := remote.Host([]string{"-H"})
	require.ErrorContains(t, err, "a value is missing")
}

// TestFrames: a piece is what was written, and no client has the daemon make room for gigabytes.
func TestFrames(t *testing.T) {
	var buffer bytes.Buffer
	fmt.Fprint((&rest.Frames{To: &buffer}).Stream(remote.Exit), 7)
	number, data, err := remote.ReadFrame(&buffer)
	require.NoError(t, err)
	require.Equal(t, "3 7", fmt.Sprintf("%d %s", number, data))
	_, _, err = remote.ReadFrame(strings.NewReader("\x00\x00\x00\x00\xff\xff\xff\xff"))
	require.ErrorContains(t, err, "is the limit")
}

// another is a machine on which the files of this one are not.
type another struct {
	line  remote.Line
	files []string // of the archive that came as input
}

func (a *another) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(r.TLS.PeerCertificates) == 0 || json.NewDecoder(r.Body).Decode(&a.line) != nil {
		http.Error(w, "{}", http.StatusForbidden)
		return
	}
	conn, in, _ := http.NewResponseController(w).Hijack()
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	var input bytes.Buffer
	for {
		number, data, err := remote.ReadFrame(in)
		if err != nil || number == remote.Stdin && len(data) == 0 {
			break
		}
		input.Write(data)
	}
	for archive := tar.NewReader(&input); ; {
		header, err := archive.Next()
		if err != nil {
			break
		}
		a.files = append(a.files, header.Name)
	}
	fmt.Fprint((&rest.Frames{To: conn}).Stream(remote.Exit), 3)
}

// TestAnotherMachine: the client shows a certificate, and what build reads goes over the connection.
func TestAnotherMachine(t *testing.T) {
	a := &another{}
	server := httptest.NewUnstartedServer(a)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	address, dir := "tcp://"+server.Listener.Addr().String(), t.TempDir()
	t.Setenv("DOCKER_CERT_PATH", dir)
	require.ErrorContains(t, remote.Run(address, []string{"ps"}), "DOCKER_CERT_PATH")
	pair := server.TLS.Certificates[0] // it will do for the client too
	for name, block := range map[string]*pem.Block{"ca": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "cert": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		"key": {Type: "PRIVATE KEY", Bytes: keyOf(t, pair)}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".pem"), pem.EncodeToMemory(block), 0o600))
	}
	files := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(files, "Dockerfile"), nil, 0o644))
	require.NoError(t, os.Symlink("/nowhere", filepath.Join(files, "link")))
	t.Setenv("A", "1")
	require.Equal(t, plan.ExitStatus(3), remote.Run(address, []string{"build", "--build-arg=A", "-t", "x", files}))
	require.Equal(t, []string{"build", "--build-arg=A", "-t", "x", "-"}, a.line.Words)
	require.Empty(t, a.line.Dir)
	require.Contains(t, a.line.Env, "A=1")
	require.Equal(t, []string{"Dockerfile", "link"}, a.files)
	require.ErrorContains(t, remote.Run(address, []string{"build", files, "-t", "x"}), "the last word is the context")
}

func keyOf(t *testing.T, pair tls.Certificate) []byte {
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	return key
}

// TestNoDaemon: the sentence says what to start.
func TestNoDaemon(t *testing.T) {
	address := "unix://" + t.TempDir() + "/none"
	require.ErrorContains(t, remote.Run(address, []string{"ps"}), "no daemon is running there: box daemon -H "+address+" starts one")
}
