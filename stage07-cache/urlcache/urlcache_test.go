package urlcache

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage05-images/digest"
	"stagebox/stage06-dockerfile/download"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// bench is a server whose file has a version, and the requests that got all of it.
type bench struct {
	*httptest.Server
	version, full atomic.Int32
}

func newBench(t *testing.T) *bench {
	b := &bench{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tag := fmt.Sprintf(`"%d"`, b.version.Load())
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		b.full.Add(1)
		fmt.Fprintf(w, "version %d", b.version.Load())
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *bench) request() download.Request {
	return download.Request{URL: b.URL + "/file", Limit: func(int64) error { return nil }}
}

// fetch is a build of its own: it fetches the file and reads what is kept.
func (b *bench) fetch(t *testing.T, dir string) string {
	c := &Cache{Dir: dir}
	got, err := c.Fetch(t.Context(), b.request())
	require.NoError(t, err)
	var content bytes.Buffer
	require.NoError(t, c.Copy(&content, b.request(), got))
	require.Equal(t, digest.FromString(content.String()), got.Digest)
	return content.String()
}

func TestAServerSendsAVersionOnce(t *testing.T) {
	b, dir := newBench(t), t.TempDir()
	for range 2 {
		require.Equal(t, "version 0", b.fetch(t, dir))
	}
	require.EqualValues(t, 1, b.full.Load())
	b.version.Add(1)
	require.Equal(t, "version 1", b.fetch(t, dir))
	require.EqualValues(t, 2, b.full.Load())
}

func TestDamageIsFetchedAgain(t *testing.T) {
	b, dir := newBench(t), t.TempDir()
	require.Equal(t, "version 0", b.fetch(t, dir))
	kept := filepath.Join(dir, digest.FromString("version 0").Encoded())
	for _, damage := range []string{"", "version", "VERSION 0", "version 0 and more"} {
		before := b.full.Load()
		require.NoError(t, os.WriteFile(kept, []byte(damage), 0o600))
		require.Equal(t, "version 0", b.fetch(t, dir))
		require.Equal(t, before+1, b.full.Load(), "%q was used", damage)
	}
}

// TestABuildAsksOnce, however many of its steps want the file, and sees one version of it.
func TestABuildAsksOnce(t *testing.T) {
	b := newBench(t)
	c := &Cache{Dir: t.TempDir()}
	var steps sync.WaitGroup
	for range 8 {
		steps.Go(func() {
			got, err := c.Fetch(t.Context(), b.request())
			if err != nil || got.Digest != digest.FromString("version 0") {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	steps.Wait()
	b.version.Add(1)
	got, err := c.Fetch(t.Context(), b.request())
	require.NoError(t, err)
	require.Equal(t, digest.FromString("version 0"), got.Digest)
	require.EqualValues(t, 1, b.full.Load())
}

// TestAChecksumNeedsNoServer, if the cache has the file; the limit of the build counts all the same.
func TestAChecksumNeedsNoServer(t *testing.T) {
	b, dir := newBench(t), t.TempDir()
	b.fetch(t, dir)
	b.Close()
	request := b.request()
	request.Checksum = digest.FromString("version 0")
	c := &Cache{Dir: dir}
	got, err := c.Fetch(t.Context(), request)
	require.NoError(t, err)
	request.Limit = func(n int64) error { return fmt.Errorf("%d bytes", n) }
	require.ErrorContains(t, c.Copy(&bytes.Buffer{}, request, got), "9 bytes")
	request.Checksum = digest.FromString("other")
	_, err = c.Fetch(t.Context(), request)
	require.Error(t, err, "the server is closed")
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 2, "a failed request leaves nothing")
}
