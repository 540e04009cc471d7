package push

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/progress"
	"stagebox/stage05-images/registry"
)

// server is a registry that takes any blob as a whole.
type server struct {
	sync.Mutex
	has map[string]string // content by digest

	calls, most atomic.Int32 // at the same time
}

func (s *server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.most.Store(max(s.most.Load(), s.calls.Add(1)))
	defer s.calls.Add(-1)
	time.Sleep(time.Millisecond) // for others to come
	s.Lock()
	defer s.Unlock()
	switch name := filepath.Base(req.URL.Path); {
	case req.Method == "HEAD" && s.has[name] == "":
		w.WriteHeader(http.StatusNotFound)
	case req.Method == "POST":
		w.Header().Set("Location", "/up")
		w.WriteHeader(http.StatusAccepted)
	case req.Method == "PUT":
		data, _ := io.ReadAll(req.Body)
		s.has[req.URL.Query().Get("digest")] = string(data)
		w.WriteHeader(http.StatusCreated)
	}
}

// newPush is a layout with an image of one layer, and a registry for it.
func newPush(t *testing.T) (*Sender, *oci.Image, *server) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	s := &server{has: map[string]string{}}
	listening := httptest.NewServer(s)
	t.Cleanup(listening.Close)
	host := strings.TrimPrefix(listening.URL, "http://")
	client, err := registry.New(host, false)
	require.NoError(t, err)
	ref, err := registry.ParseReference(host + "/app:1")
	require.NoError(t, err)
	l := oci.Layout{Dir: t.TempDir(), Warn: func(err error) { require.NoError(t, err) }}
	for _, dir := range []string{"partial", "blobs/sha256"} {
		require.NoError(t, os.MkdirAll(filepath.Join(l.Dir, dir), 0o755))
	}
	layer, err := l.Put(ocispec.MediaTypeImageLayer, []byte("a layer"))
	require.NoError(t, err)
	config := oci.NewConfig()
	config.RootFS.DiffIDs = []digest.Digest{layer.Digest}
	image, err := l.Write(config, []ocispec.Descriptor{layer}, "", nil)
	require.NoError(t, err)
	show := progress.New(os.Stderr, true, false)
	return &Sender{Layout: l, Registry: client, To: ref, Show: show, AtOnce: 2}, image, s
}

func TestBlobs(t *testing.T) {
	p, image, s := newPush(t)
	for range 2 { // what the registry has is not sent once more
		require.NoError(t, p.Blobs(context.Background(), image))
		require.Len(t, s.has, 2)
	}
	require.Equal(t, "a layer", s.has[image.Blobs[0].Digest.String()])
	require.Contains(t, s.has[image.ID.String()], image.Blobs[0].Digest.String())
}

// TestDamage blames the blob that is damaged or gone, before or after it was sent.
func TestDamage(t *testing.T) {
	p, image, s := newPush(t)
	path := p.Layout.Path(image.Blobs[0].Digest)
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte("shorter"[:3]), 0o600))
	err := p.Blobs(context.Background(), image)
	require.EqualError(t, err, p.Layout.Damaged(image.Blobs[0].Digest).Error())
	require.NoError(t, os.Remove(path))
	err = p.Blobs(context.Background(), image)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "pull or load its image again")
	require.NotContains(t, s.has, image.Blobs[0].Digest.String())
}

// TestInterrupted ends with the reason for which the context was ended.
func TestInterrupted(t *testing.T) {
	p, image, s := newPush(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("the caller has had enough")
	cancel(reason)
	require.ErrorIs(t, p.Blobs(ctx, image), reason)
	require.Empty(t, s.has)
}

// TestAtOnce: no more blobs are on their way than AtOnce, and after an error no other is begun.
func TestAtOnce(t *testing.T) {
	p, image, s := newPush(t)
	for _, text := range []string{"two", "three", "four", "five"} {
		blob, err := p.Layout.Put(ocispec.MediaTypeImageLayer, []byte(text))
		require.NoError(t, err)
		image.Blobs = append(image.Blobs, blob)
	}
	p.AtOnce = 1
	require.NoError(t, p.Blobs(context.Background(), image))
	require.Len(t, s.has, 6)
	require.EqualValues(t, 1, s.most.Load())
	clear(s.has)
	require.NoError(t, os.Remove(p.Layout.Path(image.Blobs[1].Digest)))
	require.ErrorIs(t, p.Blobs(context.Background(), image), os.ErrNotExist)
	require.Len(t, s.has, 2, "the configuration and the first layer")
}
