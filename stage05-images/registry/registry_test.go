package registry

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"stagebox/lessons/boxtest"

	"stagebox/stage04-unionfs/fault"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
)

// noConfig keeps the caller's own credentials and certificates out of a test.
func noConfig(t *testing.T) (dir string) {
	dir = t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	return dir
}

// testClient is one of the server at address that is quick to try again.
func testClient(t *testing.T, address string) *Client {
	r, err := New(strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://"), false)
	require.NoError(t, err)
	r.backoff = time.Millisecond
	t.Cleanup(r.transport.CloseIdleConnections)
	return r
}

// serveRegistry starts a server that answers /v2/ well, and the rest with handler.
func serveRegistry(t *testing.T, handler http.HandlerFunc) *Client {
	noConfig(t)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return testClient(t, server.URL)
}

func blobOf(data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

func randomBytes(t *testing.T, n int) []byte {
	data, seed := make([]byte, n), [32]byte{}
	_, err := rand.Read(seed[:])
	require.NoError(t, err)
	_, err = mathrand.NewChaCha8(seed).Read(data)
	require.NoError(t, err)
	return data
}

// downloadBlob reads a blob to its end.
func downloadBlob(r *Client, repo string, blob ocispec.Descriptor) ([]byte, error) {
	return r.Document(context.Background(), repo, blob)
}

// pushBlob uploads a blob.
func pushBlob(t *testing.T, r *Client, repo string, data []byte, from string) (Outcome, error) {
	return r.Push(t.Context(), repo, blobOf(data), bytes.NewReader(data), from, nil)
}

// startRegistry runs a real registry, of which the caller's own configuration knows nothing.
func startRegistry(t *testing.T, auth string) (address string) {
	noConfig(t)
	return boxtest.StartRegistry(t, auth)
}

// tags lists the tags of a repository: a request like any other.
func tags(t *testing.T, r *Client, repo string) ([]string, error) {
	_, data, err := r.fetch(t.Context(), request{
		method: "GET", target: "/v2/" + repo + "/tags/list", scope: pullScope(repo),
	})
	if err != nil {
		return nil, err
	}
	var list struct{ Tags []string }
	err = json.Unmarshal(data, &list)
	return list.Tags, err
}

// pushImage makes an image of one layer and pushes it.
func pushImage(t *testing.T, r *Client, ref Reference, layer []byte) (index ocispec.Descriptor) {
	config, err := json.Marshal(ocispec.Image{Platform: ocispec.Platform{Architecture: "amd64", OS: "linux"}, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}}})
	require.NoError(t, err)
	manifest := ocispec.Manifest{SchemaVersion: 2, MediaType: ocispec.MediaTypeImageManifest, Config: blobOf(config)}
	manifest.Config.MediaType = ocispec.MediaTypeImageConfig
	manifest.Layers = []ocispec.Descriptor{blobOf(layer)}
	for _, data := range [][]byte{config, layer} {
		_, err := pushBlob(t, r, ref.Repository, data, "")
		require.NoError(t, err)
	}
	text, err := json.Marshal(manifest)
	require.NoError(t, err)
	require.NoError(t, r.PutManifest(t.Context(), ref, ocispec.MediaTypeImageManifest, text))
	index = blobOf(text)
	index.MediaType = ocispec.MediaTypeImageManifest
	return index
}

// roundTrip pushes an image and gets it back.
func roundTrip(t *testing.T, r *Client) {
	layer := randomBytes(t, 3<<20)
	ref := Reference{Host: r.Host, Repository: "user/app", Tag: "1"}
	want := pushImage(t, r, ref, layer)

	got, text, err := r.Manifest(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, same, err := r.Manifest(t.Context(), Reference{Host: r.Host, Repository: "user/app", Digest: want.Digest})
	require.NoError(t, err)
	require.Equal(t, text, same)

	var manifest ocispec.Manifest
	require.NoError(t, json.Unmarshal(text, &manifest))
	var seen int64
	d, err := r.Blob(t.Context(), "user/app", manifest.Layers[0], func(n int64) { seen = n })
	require.NoError(t, err)
	data, err := io.ReadAll(d)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.Equal(t, layer, data)
	require.EqualValues(t, len(layer), seen)

	how, err := pushBlob(t, r, "user/app", layer, "")
	require.NoError(t, err)
	require.Equal(t, Exists, how)
	how, err = pushBlob(t, r, "other/app", layer, "user/app")
	require.NoError(t, err)
	require.Equal(t, Mounted, how)
	data, err = downloadBlob(r, "other/app", manifest.Layers[0])
	require.NoError(t, err)
	require.Equal(t, layer, data)

	list, err := tags(t, r, "user/app")
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, list)
}

func TestRealRegistry(t *testing.T) {
	boxtest.Slow(t)
	address := startRegistry(t, "")
	r := testClient(t, address)
	var told []string
	var mu sync.Mutex
	r.Trace = func(e Exchange) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, e.String())
	}
	roundTrip(t, r)
	require.Contains(t, told, "GET http://"+address+"/v2/user/app/manifests/1: 200 OK (what is the image made of?)")
	require.NotContains(t, strings.Join(told, "\n"), "_state=ey")

	data := randomBytes(t, chunkSize+5)
	u := &upload{Client: r, repo: "user/parts", blob: blobOf(data), content: bytes.NewReader(data)}
	how, err := u.chunked(t.Context())
	require.NoError(t, err)
	require.Equal(t, Pushed, how)
	got, err := downloadBlob(r, "user/parts", blobOf(data))
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))

	d, err := r.Blob(t.Context(), "user/parts", blobOf(data), nil)
	require.NoError(t, err)
	n, err := d.Resume(bytes.NewReader(data[:chunkSize]))
	require.NoError(t, err)
	require.EqualValues(t, chunkSize, n)
	rest, err := io.ReadAll(d)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.True(t, bytes.Equal(data[chunkSize:], rest))

	found, err := r.Search(t.Context(), "app", 25)
	require.NoError(t, err)
	require.Equal(t, []Found{{Name: address + "/other/app"}, {Name: address + "/user/app"}}, found)

	_, _, err = r.Manifest(t.Context(), Reference{Repository: "user/app", Tag: "no"})
	require.ErrorContains(t, err, "404 Not Found: manifest unknown")
	err = r.PutManifest(t.Context(), Reference{Repository: "user/none", Tag: "1"}, ocispec.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"`+someDigest+`","size":2}}`))
	require.ErrorContains(t, err, "400 Bad Request: ")
	how, err = pushBlob(t, r, "user/empty", nil, "")
	require.NoError(t, err)
	require.Equal(t, Pushed, how)
	got, err = downloadBlob(r, "user/empty", blobOf(nil))
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestSkopeoAgrees(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir()) // where skopeo looks for logins
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed: apt-get install skopeo")
	}
	address := startRegistry(t, "")
	r := testClient(t, address)
	want := pushImage(t, r, Reference{Repository: "user/app", Tag: "1"}, randomBytes(t, 1000))
	out, err := exec.Command(skopeo, "--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false", "docker://"+address+"/user/app:1", "docker://"+address+"/by/skopeo:2").CombinedOutput()
	require.NoError(t, err, string(out))
	got, _, err := r.Manifest(t.Context(), Reference{Repository: "by/skopeo", Tag: "2"})
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestRealRegistryWithPasswords(t *testing.T) {
	htpasswd, err := filepath.Abs("testdata/htpasswd")
	require.NoError(t, err)
	address := startRegistry(t, "auth: {htpasswd: {realm: lessons, path: "+htpasswd+"}}")

	_, err = tags(t, testClient(t, address), "user/app")
	require.ErrorContains(t, err, "401 Unauthorized")
	require.ErrorContains(t, err, "requires a user name and a password: box login "+address)
	require.ErrorContains(t, testClient(t, address).Login(t.Context(), "student", "wrong"), "box login "+address)
	require.NoFileExists(t, filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"))

	require.NoError(t, testClient(t, address).Login(t.Context(), "student", "open:sesame"))
	roundTrip(t, testClient(t, address))
	were, err := Logout(t.Context(), address)
	require.NoError(t, err)
	require.True(t, were)
	_, err = tags(t, testClient(t, address), "user/app")
	require.ErrorContains(t, err, "401 Unauthorized")
	were, err = Logout(t.Context(), address)
	require.NoError(t, err)
	require.False(t, were)
}

// tokenServer hands out tokens as a registry wants them: JWT that bring their certificate along.
type tokenServer struct {
	*httptest.Server
	key         *ecdsa.PrivateKey
	certificate []byte
	given       atomic.Int32
	life        time.Duration
}

func newTokenServer(t *testing.T) *tokenServer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tokens"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	s := &tokenServer{key: key, certificate: der, life: time.Hour}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP lets everybody read public/… and the student do all.
func (s *tokenServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	name, password, known := req.BasicAuth()
	if known && (name != "student" || password != "secret") {
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}`, http.StatusUnauthorized)
		return
	}
	access := []map[string]any{}
	for _, scope := range req.URL.Query()["scope"] {
		part := strings.Split(scope, ":")
		actions := slices.DeleteFunc(strings.Split(part[2], ","), func(a string) bool {
			return !known && !(a == "pull" && strings.HasPrefix(part[1], "public/"))
		})
		access = append(access, map[string]any{"type": part[0], "name": part[1], "actions": actions})
	}
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now()
	signed := encode(map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(s.certificate)}}) + "." +
		encode(map[string]any{"iss": "lessons", "sub": name, "aud": req.URL.Query().Get("service"), "exp": now.Add(s.life).Unix(), "nbf": now.Add(-time.Hour).Unix(), "iat": now.Unix(), "jti": fmt.Sprint(s.given.Add(1)), "access": access})
	hash := digest.SHA256.Hash()
	io.WriteString(hash, signed)
	a, b, err := ecdsa.Sign(rand.Reader, s.key, hash.Sum(nil))
	if err != nil {
		panic(err)
	}
	signature := append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...)
	json.NewEncoder(w).Encode(map[string]any{"token": signed + "." + base64.RawURLEncoding.EncodeToString(signature)})
}

func TestRealRegistryWithTokens(t *testing.T) {
	server := newTokenServer(t)
	bundle := filepath.Join(t.TempDir(), "root.pem")
	require.NoError(t, os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.certificate}), 0o600))
	address := startRegistry(t, fmt.Sprintf("auth: {token: {realm: '%s/token', service: registry, issuer: lessons, rootcertbundle: %s}}", server.URL, bundle))

	_, err := pushBlob(t, testClient(t, address), "public/app", []byte("x"), "")
	require.ErrorContains(t, err, "401 Unauthorized: authentication required")
	require.ErrorContains(t, testClient(t, address).Login(t.Context(), "student", "wrong"), "wrong password")
	require.NoError(t, testClient(t, address).Login(t.Context(), "student", "secret"))
	roundTrip(t, testClient(t, address))
	pushImage(t, testClient(t, address), Reference{Repository: "public/app", Tag: "1"}, []byte("layer"))

	_, err = Logout(t.Context(), address)
	require.NoError(t, err)
	_, _, err = testClient(t, address).Manifest(t.Context(), Reference{Repository: "public/app", Tag: "1"})
	require.NoError(t, err)
	_, _, err = testClient(t, address).Manifest(t.Context(), Reference{Repository: "user/app", Tag: "1"})
	require.ErrorContains(t, err, "box login "+address)

	// a token that is too old when it comes is asked for once more, and no more
	server.life, server.given = -time.Hour, atomic.Int32{}
	_, _, err = testClient(t, address).Manifest(t.Context(), Reference{Repository: "public/app", Tag: "1"})
	require.ErrorContains(t, err, "401 Unauthorized")
	require.EqualValues(t, 1, server.given.Load())
}

// TestTokenExpires lets the third request's token be refused, while several goroutines use it.
func TestTokenExpires(t *testing.T) {
	data := randomBytes(t, 100)
	var given, used atomic.Int32
	var valid atomic.Value
	valid.Store("none")
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/token" {
			valid.Store(fmt.Sprint("t", given.Add(1)))
			fmt.Fprintf(w, `{"access_token":"%s"}`, valid.Load())
			return
		}
		if used.Add(1) == 12 {
			valid.Store("none")
		}
		if req.Header.Get("Authorization") != "Bearer "+valid.Load().(string) {
			w.Header().Set("Www-Authenticate", `Bearer realm="http://`+req.Host+`/token",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Write(data)
	})
	_, err := downloadBlob(r, "a", blobOf(data))
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 3 {
				got, err := downloadBlob(r, "a", blobOf(data))
				require.NoError(t, err)
				require.Equal(t, data, got)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 2, given.Load(), "tokens")
}

func TestBrokenConnectionIsTakenUpAgain(t *testing.T) {
	data := randomBytes(t, 4<<20)
	for _, c := range []struct {
		name   string
		ranges bool
		end    func(w http.ResponseWriter)
	}{
		{"cut", true, func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }},
		{"cut, and no ranges", false, func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }},
		{"truncated in good order", true, func(w http.ResponseWriter) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []string
			r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/v2/" {
					return
				}
				asked = append(asked, req.Header.Get("Range"))
				if !c.ranges {
					req.Header.Del("Range")
				}
				if len(asked) == 4 {
					http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
					return
				}
				w.Header().Set("Transfer-Encoding", "chunked")
				from := 0
				if text := req.Header.Get("Range"); text != "" {
					fmt.Sscanf(text, "bytes=%d-", &from)
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
					w.WriteHeader(http.StatusPartialContent)
				}
				w.Write(data[from : len(asked)<<20])
				w.(http.Flusher).Flush()
				c.end(w)
			})
			got, err := downloadBlob(r, "a", blobOf(data))
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
			require.Len(t, asked, 4)
			require.Regexp(t, `^bytes=\d+-$`, asked[3])
		})
	}
}

func TestBadBlobs(t *testing.T) {
	data := randomBytes(t, 1<<20)
	changed := slices.Clone(data)
	changed[len(changed)-1]++
	for _, c := range []struct {
		name, want string
		requests   int
		answer     func(w http.ResponseWriter, req *http.Request, n int)
	}{
		{"other bytes", "the registry sent other bytes", 1, func(w http.ResponseWriter, req *http.Request, n int) {
			w.Write(changed)
		}},
		{"changes between two requests", "the registry sent other bytes", 2, func(w http.ResponseWriter, req *http.Request, n int) {
			if n == 1 {
				w.Write(data[:1000])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(changed))
		}},
		{"other size", "has 1048575 bytes, and the manifest says 1048576", 1, func(w http.ResponseWriter, req *http.Request, n int) {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)-1))
			w.Write(data[1:])
		}},
		{"other range", `was asked for the bytes from 1000 on, and sent "bytes 0-1048575/1048576"`, 2, func(w http.ResponseWriter, req *http.Request, n int) {
			if n == 1 {
				w.Write(data[:1000])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Content-Range", "bytes 0-1048575/1048576")
			w.WriteHeader(http.StatusPartialContent)
			w.Write(data)
		}},
		{"always cut", "(5 attempts failed)", 5, func(w http.ResponseWriter, req *http.Request, n int) {
			panic(http.ErrAbortHandler)
		}},
		{"gone", "404 Not Found:  [31mblob unknown", 1, func(w http.ResponseWriter, req *http.Request, n int) {
			w.WriteHeader(http.StatusNotFound)
			w.Write([]byte(`{"errors":[{"code":"BLOB_UNKNOWN","message":"\u001b[31mblob unknown"}]}`))
		}},
		{"500 for ever", "500 Internal Server Error", 5, func(w http.ResponseWriter, req *http.Request, n int) {
			w.WriteHeader(500)
		}},
		{"come in an hour", "it asks to retry after 1h0m0s", 1, func(w http.ResponseWriter, req *http.Request, n int) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}},
		{"redirects without end", "stopped after 10 redirects", 11, func(w http.ResponseWriter, req *http.Request, n int) {
			http.Redirect(w, req, fmt.Sprintf("/again/%d", n), http.StatusTemporaryRedirect)
		}},
		{"redirect to a file", "it is not HTTPS", 1, func(w http.ResponseWriter, req *http.Request, n int) {
			http.Redirect(w, req, "file:///etc/passwd", http.StatusFound)
		}},
		{"redirect out of the host without TLS", "it is not HTTPS", 1, func(w http.ResponseWriter, req *http.Request, n int) {
			http.Redirect(w, req, "http://192.0.2.1/x?signature=secret", http.StatusFound)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int32
			r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/v2/" {
					return
				}
				c.answer(w, req, int(n.Add(1)))
			})
			_, err := downloadBlob(r, "a", blobOf(data))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\x1b")
			require.NotContains(t, err.Error(), "secret")
			require.EqualValues(t, c.requests, n.Load(), "requests")
		})
	}
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) { t.Error("no request was needed") })
	for _, bad := range []ocispec.Descriptor{{Digest: "sha256:../../x"}, {Digest: "md5:00"}, {Digest: ""}, {Digest: someDigest, Size: -1}} {
		_, err := r.Blob(t.Context(), "a", bad, nil)
		require.ErrorContains(t, err, "blob ")
	}
}

func TestBusyRegistryIsAskedAgain(t *testing.T) {
	boxtest.Slow(t)
	data := []byte("content")
	var statuses []int
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v2/" {
			return
		}
		status := []int{500, 500, 429, 200}[len(statuses)]
		statuses = append(statuses, status)
		if status == 429 {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(status)
		w.Write(data)
	})
	got, err := downloadBlob(r, "a", blobOf(data))
	require.NoError(t, err)
	require.Equal(t, data, got)
	require.Equal(t, []int{500, 500, 429, 200}, statuses)

	statuses = nil
	_, text, err := r.Manifest(t.Context(), Reference{Repository: "a", Tag: "b"})
	require.ErrorContains(t, err, "the manifest is not JSON")
	require.Equal(t, data, text)
	require.Len(t, statuses, 4)
}

func TestStalls(t *testing.T) {
	boxtest.Slow(t)
	data := randomBytes(t, 1<<20)
	release := make(chan struct{})
	var n atomic.Int32
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path == "/v2/":
		case req.Method == "HEAD":
			w.WriteHeader(http.StatusNotFound)
		case req.Method == "POST":
			w.Header().Set("Location", "/up")
			w.WriteHeader(http.StatusAccepted)
		case req.Method == "PUT": // never reads
			n.Add(1)
			<-release
		case strings.HasSuffix(req.URL.Path, "/dumb"): // never answers
			n.Add(1)
			<-release
		case n.Add(1) == 1: // stops halfway
			w.Write(data[:1000])
			w.(http.Flusher).Flush()
			<-release
		default:
			http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
		}
	})
	defer close(release)
	// Where the processor is busy, any wait for it may be a stall of that length: what is
	// counted exactly is the client's attempts, in its message.
	stalled := fmt.Sprintf("no data for 100ms: i/o timeout\n     (%d attempts failed)", maxAttempts)
	r.idleTimeout = 500 * time.Millisecond
	got, err := downloadBlob(r, "a", blobOf(data))
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	require.GreaterOrEqual(t, n.Swap(0), int32(2))

	r.idleTimeout = 100 * time.Millisecond
	_, _, err = r.Manifest(t.Context(), Reference{Repository: "a", Tag: "dumb"})
	require.ErrorContains(t, err, stalled)
	require.Positive(t, n.Swap(0))

	big := make([]byte, 16<<20) // more than the kernel takes for a reader that sleeps
	_, err = pushBlob(t, r, "a", big, "")
	require.ErrorContains(t, err, stalled)
	require.Positive(t, n.Load())
}

func TestCancelled(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v2/" {
			cancel()
			<-release
		}
	})
	d, err := r.Blob(ctx, "a", blobOf([]byte("x")), nil)
	require.NoError(t, err)
	_, err = io.ReadAll(d)
	require.ErrorIs(t, err, context.Canceled)
}

// TestCredentialsStayAtHome sends us elsewhere in all the ways that there are.
func TestCredentialsStayAtHome(t *testing.T) {
	data := []byte("content")
	var seen []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for _, name := range []string{"Authorization", "Referer", "Cookie"} {
			if value := req.Header.Get(name); value != "" {
				t.Errorf("%s %s got %s: %s", req.Method, req.URL, name, value)
			}
		}
		seen = append(seen, req.Method+" "+req.URL.Path)
		switch {
		case req.URL.Path == "/challenge":
			w.Header().Set("Www-Authenticate", `Basic realm="elsewhere"`)
			w.WriteHeader(http.StatusUnauthorized)
		case req.Method == "PUT":
			io.Copy(io.Discard, req.Body)
			w.WriteHeader(http.StatusCreated)
		default:
			w.Write(data)
		}
	}))
	defer elsewhere.Close()
	redirect := "/x?X-Amz-Signature=topsecret"
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		if _, password, _ := req.BasicAuth(); password != "secret" {
			w.Header().Set("Www-Authenticate", `Basic realm="here"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch req.Method {
		case "HEAD":
			w.WriteHeader(http.StatusNotFound)
		case "POST":
			w.Header().Set("Location", elsewhere.URL+"/up?X-Amz-Signature=topsecret")
			w.WriteHeader(http.StatusAccepted)
		case "PUT":
			http.Redirect(w, req, elsewhere.URL+"/up", http.StatusTemporaryRedirect)
		default:
			w.Header().Set("Set-Cookie", "a=b")
			http.Redirect(w, req, elsewhere.URL+redirect, http.StatusFound)
		}
	})
	r.login = credential{Username: "student", Secret: "secret"}
	var told strings.Builder
	r.Trace = func(e Exchange) { fmt.Fprintln(&told, e) }

	got, err := downloadBlob(r, "a", blobOf(data))
	require.NoError(t, err)
	require.Equal(t, data, got)
	how, err := pushBlob(t, r, "a", data, "")
	require.NoError(t, err)
	require.Equal(t, Pushed, how)
	require.ErrorContains(t, r.PutManifest(t.Context(), Reference{Repository: "a", Tag: "b"}, ocispec.MediaTypeImageManifest, []byte("{}")), "307")
	redirect = "/challenge"
	_, err = downloadBlob(r, "a", blobOf(data))
	require.ErrorContains(t, err, "401")
	require.Equal(t, []string{"GET /x", "PUT /up", "GET /challenge"}, seen)
	require.Contains(t, told.String(), "X-Amz-Signature=…")
	for _, secret := range []string{"secret", base64.StdEncoding.EncodeToString([]byte("student:secret"))} {
		require.NotContains(t, told.String(), secret)
	}
}

func TestUploads(t *testing.T) {
	boxtest.Slow(t)
	data := randomBytes(t, chunkSize+1000)
	for _, c := range []struct {
		name, location string
		want           Outcome
		refuse         func(req *http.Request, n int) int
		requests       string
	}{
		{"relative", "/up/1", Pushed, nil, "POST PUT"},
		{"relative, with a query", "/up/1?_state=a%2Fb%3D&x", Pushed, nil, "POST PUT"},
		{"with the host", "HOST/up/1?_state=a%2Fb%3D", Pushed, nil, "POST PUT"},
		{"no whole uploads", "/up/1?_state=a%2Fb%3D", Pushed, func(req *http.Request, n int) int {
			if req.Method == "PUT" && req.ContentLength > 0 {
				return http.StatusRequestEntityTooLarge
			}
			return 0
		}, "POST PUT POST PATCH PATCH PUT"},
		{"busy twice", "/up/1", Pushed, func(req *http.Request, n int) int {
			if n < 2 && req.Method == "PUT" {
				return http.StatusServiceUnavailable
			}
			return 0
		}, "POST PUT POST PUT POST PUT"},
		{"breaks off", "/up/1", Pushed, func(req *http.Request, n int) int {
			if n == 0 && req.Method == "PUT" {
				panic(http.ErrAbortHandler)
			}
			return 0
		}, "POST PUT POST PUT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stored []byte
			var requests []string
			refused := 0
			r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
				switch {
				case req.URL.Path == "/v2/":
					return
				case req.Method == "HEAD":
					w.WriteHeader(http.StatusNotFound)
					return
				}
				requests = append(requests, req.Method)
				if c.refuse != nil {
					n := refused
					refused++
					if req.Method != "PUT" {
						refused--
					}
					if status := c.refuse(req, n); status != 0 {
						w.WriteHeader(status)
						return
					}
				}
				if _, query, ok := strings.Cut(c.location, "?"); ok && req.Method != "POST" {
					require.True(t, strings.HasPrefix(req.URL.RawQuery, query), req.URL.RawQuery)
				}
				switch req.Method {
				case "POST":
					stored = nil
				case "PATCH":
					require.Equal(t, fmt.Sprintf("%d-%d", len(stored), int64(len(stored))+req.ContentLength-1), req.Header.Get("Content-Range"))
				}
				part, err := io.ReadAll(req.Body)
				require.NoError(t, err)
				stored = append(stored, part...)
				if req.Method == "PUT" {
					require.Equal(t, blobOf(stored).Digest.String(), req.URL.Query().Get("digest"))
					w.WriteHeader(http.StatusCreated)
					return
				}
				w.Header().Set("Location", strings.Replace(c.location, "HOST", "http://"+req.Host, 1))
				w.WriteHeader(http.StatusAccepted)
			})
			var last int64
			how, err := r.Push(t.Context(), "a", blobOf(data), bytes.NewReader(data), "", func(n int64) { last = n })
			require.NoError(t, err)
			require.Equal(t, c.want, how)
			require.True(t, bytes.Equal(data, stored))
			require.Equal(t, c.requests, strings.Join(requests, " "))
			require.EqualValues(t, len(data), last)
		})
	}
}

func TestMountThatIsRefused(t *testing.T) {
	var posts []string
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		switch req.Method {
		case "HEAD":
			w.WriteHeader(http.StatusNotFound)
		case "POST":
			posts = append(posts, req.URL.RawQuery)
			w.Header().Set("Location", "/up")
			w.WriteHeader(http.StatusAccepted)
			if req.URL.RawQuery != "" {
				w.WriteHeader(http.StatusForbidden)
			}
		case "PUT":
			w.WriteHeader(http.StatusCreated)
		}
	})
	how, err := pushBlob(t, r, "a", []byte("x"), "b/c")
	require.NoError(t, err)
	require.Equal(t, Pushed, how)
	require.Equal(t, []string{"mount=" + url.QueryEscape(blobOf([]byte("x")).Digest.String()) + "&from=b%2Fc"}, posts)
}

func TestBadManifests(t *testing.T) {
	const manifest, index = ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex
	for _, c := range []struct{ name, header, told, body, want string }{
		{"a header that lies", manifest, someDigest, `{"mediaType":"` + manifest + `"}`, "the registry sent other bytes"},
		{"two kinds at once", manifest, "", `{"mediaType":"` + index + `"}`, "and the manifest says " + index},
		{"neither", "text/html", "", `{}`, `"text/html" is not the type`},
		{"Docker's first", "application/vnd.docker.distribution.manifest.v1+prettyjws", "", `{}`, "is not the type"},
		{"no JSON", manifest, "", `<html>`, "the manifest is not JSON"},
	} {
		r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", c.header)
			w.Header().Set("Docker-Content-Digest", c.told)
			io.WriteString(w, c.body)
		})
		_, _, err := r.Manifest(t.Context(), Reference{Repository: "a", Tag: "b"})
		require.ErrorContains(t, err, c.want, c.name)
	}
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Docker-Content-Digest", string(digest.FromString("{}")))
		w.Write([]byte("{}"))
	})
	_, _, err := r.Manifest(t.Context(), Reference{Repository: "a", Digest: someDigest})
	require.ErrorContains(t, err, "their digest is "+string(digest.FromString("{}")))
	_, _, err = r.Manifest(t.Context(), Reference{Repository: "a", Digest: "sha256:/../x"})
	require.ErrorContains(t, err, "manifest sha256:/../x")
}

// TestKindsOfStatuses: a name that a registry denies is one that is not found, as in Docker.
func TestKindsOfStatuses(t *testing.T) {
	for status, want := range map[int]fault.Kind{403: fault.NotFound, 404: fault.NotFound, 400: fault.Other} {
		r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) { w.WriteHeader(status) })
		_, _, err := r.Manifest(t.Context(), Reference{Repository: "a", Tag: "b"})
		require.Error(t, err)
		require.Equal(t, want, fault.Of(err), "%d: %v", status, err)
	}
}

// TestEndlessAnswers sends a manifest of a gibibyte, and lists without an end.
func TestEndlessAnswers(t *testing.T) {
	sent := make(chan int, 1)
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path == "/v2/":
		case req.URL.Path == "/v2/_catalog":
			w.Header().Set("Link", `<`+req.URL.Path+`?last=x>; rel="next"`)
			io.WriteString(w, `{"repositories":["x"]}`)
		default:
			n, piece := 0, make([]byte, 1<<20)
			for n < 1<<30 {
				if _, err := w.Write(piece); err != nil {
					break
				}
				n += len(piece)
			}
			sent <- n
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := r.Manifest(t.Context(), Reference{Repository: "a", Tag: "b"})
	runtime.ReadMemStats(&after)
	require.ErrorContains(t, err, "larger than 4 MiB")
	require.Less(t, <-sent, 64<<20)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))

	_, err = r.Search(t.Context(), "x", 25)
	require.ErrorContains(t, err, "does not end")
}

func TestPagesOfTheCatalog(t *testing.T) {
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("last") == "" {
			w.Header().Set("Link", `</v2/_catalog?n=1&last=x>; rel="next"`)
			io.WriteString(w, `{"repositories":["x"]}`)
			return
		}
		io.WriteString(w, `{"repositories":["y\u001b[2J"]}`)
	})
	found, err := r.Search(t.Context(), "", 25)
	require.NoError(t, err)
	require.Equal(t, []Found{{Name: r.Host + "/x"}, {Name: r.Host + "/y [2J"}}, found)
}

// TestTLS has a certificate of an authority that nobody knows at first.
func TestTLS(t *testing.T) {
	dir := noConfig(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, `{"tags":["x"]}`) }))
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	_, err := tags(t, testClient(t, server.URL), "a")
	host := strings.TrimPrefix(server.URL, "https://")
	require.ErrorContains(t, err, "/etc/docker/certs.d/"+host+"/ca.crt")

	insecure := testClient(t, server.URL)
	insecure, err = New(insecure.Host, true)
	require.NoError(t, err)
	defer insecure.transport.CloseIdleConnections()
	_, err = tags(t, insecure, "a")
	require.NoError(t, err)

	place := filepath.Join(dir, "docker/certs.d", host)
	require.NoError(t, os.MkdirAll(place, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(place, "ca.crt"), []byte("x"), 0o600))
	_, err = New(host, false)
	require.ErrorContains(t, err, "there is no certificate in PEM form")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(filepath.Join(place, "ca.crt"), certificate, 0o600))
	list, err := tags(t, testClient(t, server.URL), "a")
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, list)

	// from there it does not go on without TLS, not even on this host
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { t.Error(req.URL) }))
	defer plain.Close()
	server.Config.Handler = http.RedirectHandler(plain.URL+"/x", http.StatusFound)
	_, err = tags(t, testClient(t, server.URL), "a")
	require.ErrorContains(t, err, "it is not HTTPS")
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Www-Authenticate", `Bearer realm="`+plain.URL+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	_, err = tags(t, testClient(t, server.URL), "a")
	require.ErrorContains(t, err, "it is not HTTPS")
}

// TestClientCertificate has a registry that wants to see one.
func TestClientCertificate(t *testing.T) {
	dir := noConfig(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	client, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	clients := x509.NewCertPool()
	clients.AddCert(client)

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, `{"tags":["x"]}`) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	server.StartTLS()
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "https://")
	place := filepath.Join(dir, "docker/certs.d", host)
	require.NoError(t, os.MkdirAll(place, 0o700))
	write := func(name, kind string, data []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(place, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600))
	}
	write("our-authority.crt", "CERTIFICATE", server.Certificate().Raw)
	_, err = tags(t, testClient(t, server.URL), "a")
	require.ErrorContains(t, err, "certificate required")
	require.ErrorContains(t, err, "https://", "it does not go on without TLS")

	write("me.cert", "CERTIFICATE", der)
	_, err = New(host, false)
	require.ErrorContains(t, err, "me.key")
	write("me.key", "PRIVATE KEY", private)
	list, err := tags(t, testClient(t, server.URL), "a")
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, list)
	require.NoError(t, os.Remove(filepath.Join(place, "me.cert")))
	_, err = New(host, false)
	require.ErrorContains(t, err, "me.key is the key of")
}

// testHub is a client of the default registry, whose hosts are all one test server.
func testHub(t *testing.T, handler http.HandlerFunc) *Client {
	noConfig(t)
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	r := testClient(t, defaultRegistry)
	r.Host = defaultRegistry
	r.transport.Proxy = nil
	r.transport.DialTLSContext = func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
		return (&tls.Dialer{Config: &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return r
}

func TestDefaultRegistry(t *testing.T) {
	var asked []string
	r := testHub(t, func(w http.ResponseWriter, req *http.Request) {
		asked = append(asked, req.Method+" "+req.Host+req.URL.RequestURI())
		if req.Host == defaultIndex {
			io.WriteString(w, `{"results":[{"name":"alpine","description":"small\u001b[0m","star_count":7,"is_official":true}]}`)
			return
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		io.WriteString(w, `{}`)
	})
	found, err := r.Search(t.Context(), "alp ine", 25)
	require.NoError(t, err)
	require.Equal(t, []Found{{"alpine", "small [0m", 7, true}}, found)
	ref, err := ParseReference("alpine")
	require.NoError(t, err)
	desc, _, err := r.Manifest(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, ocispec.MediaTypeImageIndex, desc.MediaType)
	require.Equal(t, []string{"GET index.docker.io/v1/search?n=25&q=alp+ine", "GET registry-1.docker.io/v2/library/alpine/manifests/latest"}, asked)
}

func TestNobodyListens(t *testing.T) {
	noConfig(t)
	server := httptest.NewServer(nil)
	server.Close()
	_, err := tags(t, testClient(t, server.URL), "a")
	require.ErrorContains(t, err, "nothing listens there")
}

func TestUnknownHost(t *testing.T) {
	target := &url.URL{Scheme: "https", Host: "registry.example:5000", Path: "/v2/"}
	err := (&Client{}).failed("GET", target, &net.DNSError{Err: "no such host", Name: "registry.example", IsNotFound: true})
	require.ErrorContains(t, err, "\n     no name server knows registry.example: ")
}
