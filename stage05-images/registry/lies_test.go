package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
)

// liar serves an image, and one request of those that a pull needs it answers with a lie.
type liar struct {
	docs  documents
	steps map[string]string // by path: index, manifest, config, layer, token
	step  string
	lie   func(w http.ResponseWriter, req *http.Request, data []byte)
}

func newLiar(t *testing.T) *liar {
	l := &liar{docs: documents{}, steps: map[string]string{"/token": "token"}}
	platform, err := ParsePlatform("")
	require.NoError(t, err)
	layer := randomBytes(t, 1<<20)
	desc := blobOf(layer)
	l.docs[desc.Digest] = layer
	config := l.docs.put(t, ocispec.MediaTypeImageConfig, ocispec.Image{Platform: platform})
	one := l.docs.put(t, ocispec.MediaTypeImageManifest, ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{desc}})
	one.Platform = &platform
	index := l.docs.index(t, one)
	l.docs["latest"] = l.docs[index.Digest]
	l.steps["/v2/app/manifests/latest"] = "index"
	l.steps["/v2/app/manifests/"+one.Digest.String()] = "manifest"
	l.steps["/v2/app/blobs/"+config.Digest.String()] = "config"
	l.steps["/v2/app/blobs/"+desc.Digest.String()] = "layer"
	return l
}

func (l *liar) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	step := l.steps[req.URL.Path]
	name := req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]
	data := l.docs[digest.Digest(name)]
	if step == "token" {
		data = []byte(`{"token":"t"}`)
	}
	if strings.Contains(req.URL.Path, "/manifests/") {
		var kind struct{ MediaType string }
		json.Unmarshal(data, &kind)
		w.Header().Set("Content-Type", kind.MediaType)
	}
	switch {
	case step == l.step:
		l.lie(w, req, data)
	case step != "token" && l.step == "token" && req.Header.Get("Authorization") == "":
		w.Header().Set("Www-Authenticate", `Bearer realm="http://`+req.Host+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	case step == "":
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Write(data)
	}
}

// pull asks for all that a pull asks for. What it got is checked, and thrown away.
func (l *liar) pull(t *testing.T, r *Client) error {
	platform, err := ParsePlatform("")
	require.NoError(t, err)
	ref := Reference{Host: r.Host, Repository: "app", Tag: "latest"}
	_, data, _, err := r.ManifestFor(t.Context(), ref, platform)
	if err != nil {
		return err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if _, err := r.document(t.Context(), "app", m.Config); err != nil {
		return err
	}
	blob, err := r.Blob(t.Context(), "app", m.Layers[0], nil)
	if err != nil {
		return err
	}
	defer blob.Close()
	_, err = io.Copy(io.Discard, blob)
	return err
}

// TestARegistryThatLies holds that each lie, at each request, is an error of a sentence, and costs
// no memory. What of a store is left after such a pull is tested with the store.
func TestARegistryThatLies(t *testing.T) {
	status := func(code int) func(http.ResponseWriter, *http.Request, []byte) {
		return func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(code) }
	}
	lies := map[string]func(w http.ResponseWriter, req *http.Request, data []byte){
		"401": status(401), "403": status(403), "404": status(404), "429": status(429), "500": status(500),
		"bearer without end": func(w http.ResponseWriter, req *http.Request, _ []byte) {
			w.Header().Set("Www-Authenticate", `Bearer realm="http://`+req.Host+`/token"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"too short": func(w http.ResponseWriter, _ *http.Request, data []byte) { w.Write(data[:len(data)/2]) },
		"breaks off": func(w http.ResponseWriter, _ *http.Request, data []byte) {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			w.Write(data[:len(data)/2])
		},
		"other bytes": func(w http.ResponseWriter, req *http.Request, data []byte) {
			w.Header().Set("Docker-Content-Digest", someDigest)
			w.Write([]byte(strings.Repeat("x", len(data))))
		},
		"endless": func(w http.ResponseWriter, req *http.Request, _ []byte) {
			for block := make([]byte, 1<<20); req.Context().Err() == nil; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
		"stalls": func(w http.ResponseWriter, req *http.Request, _ []byte) { <-req.Context().Done() },
		"stalls midways": func(w http.ResponseWriter, req *http.Request, data []byte) {
			w.Write(data[:1])
			w.(http.Flusher).Flush()
			<-req.Context().Done()
		},
		"ring": func(w http.ResponseWriter, req *http.Request, _ []byte) {
			http.Redirect(w, req, req.URL.Path, http.StatusFound)
		},
	}
	noConfig(t)
	l := newLiar(t)
	server := httptest.NewServer(l)
	defer server.Close()
	require.NoError(t, l.pull(t, testClient(t, server.URL)), "without a lie")
	for _, step := range []string{"index", "manifest", "config", "layer", "token"} {
		for name, lie := range lies {
			t.Run(step+" "+name, func(t *testing.T) {
				l.step, l.lie = step, lie
				r := testClient(t, server.URL)
				if strings.Contains(name, "stalls") {
					r.idleTimeout = 50 * time.Millisecond
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := l.pull(t, r)
				runtime.ReadMemStats(&after)
				require.Error(t, err)
				require.Less(t, len(err.Error()), 1500)
				require.Equal(t, Printable(strings.ReplaceAll(err.Error(), "\n     ", " ")), strings.ReplaceAll(err.Error(), "\n     ", " "), "a sentence")
				if name != "endless" { // the server's blocks are counted too
					require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
				}
				require.Less(t, after.HeapInuse, before.HeapInuse+64<<20)
			})
		}
	}
}

// TestIndexOfThousands finds an image among many, and says in a sentence that there is none.
func TestIndexOfThousands(t *testing.T) {
	docs := documents{}
	var entries []ocispec.Descriptor
	for i := range 10_000 {
		entries = append(entries, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(fmt.Sprint(i)),
			Platform: &ocispec.Platform{OS: "linux", Architecture: fmt.Sprintf("arch%d", i)}})
	}
	want, err := ParsePlatform("linux/amd64")
	require.NoError(t, err)
	_, err = docs.resolve(docs.index(t, entries...), want)
	require.ErrorContains(t, err, "and 9980 more")
	require.Less(t, len(err.Error()), 600)
	one, err := docs.resolve(docs.index(t, append(entries, docs.image(t, "linux/amd64"))...), want)
	require.NoError(t, err)
	require.Equal(t, docs.image(t, "linux/amd64").Digest, one.Digest)
}
