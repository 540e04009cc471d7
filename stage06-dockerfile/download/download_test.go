package download

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
	"stagebox/stage06-dockerfile/dockerfile"
)

// request is for a file of a server, of at most a MiB.
func request(t *testing.T, handler http.HandlerFunc) Request {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return Request{URL: server.URL + "/dir/file.txt?x", Limit: func(n int64) error {
		if n > 1<<20 {
			return errors.New("it is too large")
		}
		return nil
	}}
}

func TestFetch(t *testing.T) {
	r := request(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		w.Header().Set("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT")
		_, _ = io.WriteString(w, "content")
	})
	var out bytes.Buffer
	a, err := r.Fetch(t.Context(), &out)
	require.NoError(t, err)
	require.Equal(t, Answer{Name: "file.txt", ETag: `"one"`, LastModified: "Sun, 09 Sep 2001 01:46:40 GMT", Digest: digest.FromString("content"), Size: 7}, a)
	require.Equal(t, "content", out.String())
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA384, digest.SHA512} {
		r.Checksum = algorithm.FromBytes([]byte("content"))
		_, err = r.Fetch(t.Context(), io.Discard)
		require.NoError(t, err)
		r.Checksum = algorithm.FromBytes([]byte("other"))
		_, err = r.Fetch(t.Context(), io.Discard)
		require.ErrorContains(t, err, "its checksum is "+algorithm.FromBytes([]byte("content")).String())
	}
	r.Checksum = "sha256:12"
	_, err = r.Fetch(t.Context(), io.Discard)
	require.ErrorContains(t, err, "--checksum=sha256:12")
}

// The version is asked about, never the time: a clock may go back.
func TestKnownVersions(t *testing.T) {
	var tag atomic.Value
	r := request(t, func(w http.ResponseWriter, r *http.Request) {
		require.Empty(t, r.Header.Get("If-Modified-Since"))
		w.Header().Set("ETag", tag.Load().(string))
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified) // of whatever version
			return
		}
		_, _ = io.WriteString(w, "new")
	})
	for _, c := range []struct {
		known, is string
		unchanged bool
	}{{`"a"`, `"a"`, true}, {`W/"a"`, `"a"`, true}, {`"a"`, `"b"`, false}, {"", `"a"`, false}} {
		tag.Store(c.is)
		r.ETag = c.known
		var out bytes.Buffer
		a, err := r.Fetch(t.Context(), &out)
		require.NoError(t, err)
		require.Equal(t, c.unchanged, a.Unchanged, c)
		require.Equal(t, c.unchanged, out.Len() == 0, c)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for _, code := range []int{304, 401, 403, 404, 429, 500} {
		r := request(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) })
		_, err := r.Fetch(t.Context(), io.Discard)
		require.ErrorContains(t, err, fmt.Sprint("the server says ", code))
	}
	short := request(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "ten bytes.")
	})
	_, err := short.Fetch(t.Context(), io.Discard)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	ring := request(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) })
	_, err = ring.Fetch(t.Context(), io.Discard)
	require.ErrorContains(t, err, "redirects")
}

// A body without end is not read to its end, with or without a length.
func TestLimitStopsTheTransfer(t *testing.T) {
	for _, length := range []string{"", "1000000000000"} {
		stopped := make(chan error, 1)
		r := request(t, func(w http.ResponseWriter, r *http.Request) {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					stopped <- err
					return
				}
			}
		})
		var out bytes.Buffer
		_, err := r.Fetch(t.Context(), &out)
		require.ErrorContains(t, err, "it is too large")
		require.LessOrEqual(t, out.Len(), 1<<20)
		require.Error(t, <-stopped)
	}
}

func TestServersThatStall(t *testing.T) {
	for _, sent := range []string{"", "some"} {
		done := make(chan struct{})
		r := request(t, func(w http.ResponseWriter, r *http.Request) {
			if sent != "" {
				_, _ = io.WriteString(w, sent)
				w.(http.Flusher).Flush()
			}
			select {
			case <-r.Context().Done():
			case <-done:
			}
		})
		r.Idle = 50 * time.Millisecond
		_, err := r.Fetch(t.Context(), io.Discard)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.ErrorContains(t, err, "no data for 50ms")
		ctx, stop := context.WithCancel(t.Context())
		stop()
		_, err = r.Fetch(ctx, io.Discard)
		require.ErrorIs(t, err, context.Canceled)
		close(done)
	}
}

func TestVerify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kept")
	a := Answer{Digest: digest.FromString("content"), Size: 7}
	for text, says := range map[string]string{"content": "", "conten": "not what it was", "CONTENT": "not what it was", "contents": "longer"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		err := a.Verify(path)
		require.Equal(t, says == "", err == nil, text)
		if err != nil {
			require.ErrorContains(t, err, says)
		}
	}
	require.ErrorIs(t, a.Verify(path+"-gone"), os.ErrNotExist)
	require.NoError(t, Answer{Digest: digest.FromString(""), Size: 0}.Verify(os.DevNull))
}

func TestNames(t *testing.T) {
	for disposition, want := range map[string]string{"": "file.txt", "attachment; filename=a.tgz": "a.tgz", `attachment; filename="../../etc/x"`: "x", "attachment; filename=..": "file.txt", "nonsense;;": "file.txt"} {
		r := request(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Disposition", disposition) })
		a, err := r.Fetch(t.Context(), io.Discard)
		require.NoError(t, err)
		require.Equal(t, want, a.Name, disposition)
	}
	r := request(t, func(http.ResponseWriter, *http.Request) {})
	r.URL = strings.TrimSuffix(r.URL, "file.txt?x")
	a, err := r.Fetch(t.Context(), io.Discard)
	require.NoError(t, err)
	require.Empty(t, a.Name)
}

func TestModified(t *testing.T) {
	require.EqualValues(t, 1000000000, Answer{LastModified: "Sun, 09 Sep 2001 01:46:40 GMT"}.Modified().Unix())
	require.Zero(t, Answer{}.Modified().Unix())
	require.Zero(t, Answer{LastModified: "yesterday"}.Modified().Unix())
}

func TestIsURL(t *testing.T) {
	for source, want := range map[string]bool{"http://a/b": true, "https://a": true, "httpd.conf": false, "./http://a": false, "ftp://a": false} {
		require.Equal(t, want, IsURL(source), source)
	}
}

func TestIsRepository(t *testing.T) {
	for source, want := range map[string]bool{
		"https://a/b.git": true, "http://a/b.git#v1:sub": true, "https://a/b.git?ref=main": true, "git@a:b": true, "git@a.b:c/d.git#main": true,
		"git://a/b": true, "ssh://git@a/b": true, "https://a/b": false, "https://a/b.git/c": false, "https://a/b?c=d.git": false, "a.git": false, "a@b": false,
		"./git@a:b": false, "dir/a@b:c": false,
	} {
		require.Equal(t, want, IsRepository(source), source)
	}
}

func TestCheckSources(t *testing.T) {
	for text, want := range map[string]string{
		"ADD http://x/a b /":                               "",
		"ADD --checksum=sha256:" + sum + " http://x/a /":   "",
		"ADD a git@github.com:x/y.git /":                   "ADD git@github.com:x/y.git: a git repository is not fetched",
		"COPY git@github.com:x/y.git /":                    "",
		"ADD --checksum=sha256:" + sum + " a /":            "--checksum needs exactly one source",
		"ADD --checksum=sha256:" + sum + " http://x/a b /": "--checksum needs exactly one source",
	} {
		f, err := dockerfile.Parse("Dockerfile", []byte("FROM x\n"+text+"\n"))
		require.NoError(t, err)
		if err := CheckSources(f.Stages[0].Steps[0]); want != "" {
			require.ErrorContains(t, err, want, text)
		} else {
			require.NoError(t, err, text)
		}
	}
}

// sum is a checksum of no file.
var sum = strings.Repeat("0", 64)
