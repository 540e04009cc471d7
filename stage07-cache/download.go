// ADD of a URL, with the cache: the file is kept under the digest of its bytes, and beside it the
// headers of the answer. The next build asks whether it is still the same (If-None-Match and
// If-Modified-Since of RFC 9110), and the server sends the file only if it is not.

package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/opencontainers/go-digest"

	"stagebox/stage04-unionfs/state"
)

// fetched is the answer to a URL, in cache/urls.
type fetched struct {
	URL          string
	ETag         string
	LastModified string
	Digest       digest.Digest
	Name         string // of the file
}

// get opens the file of a URL.
func (c *copying) get(source string) (*answer, error) {
	got, err := c.fetchOnce(source)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(c.s.b.urlPath(got.Digest))
	return &answer{file, got.Name, got.LastModified}, err
}

// fetchOnce fetches a URL, unless the build did so already or the cache has it.
func (c *copying) fetchOnce(source string) (fetched, error) {
	c.s.b.urls.Lock()
	defer c.s.b.urls.Unlock()
	if got, asked := c.s.b.fetched[source]; asked { // once a build is enough
		return got, nil
	}
	note := c.s.b.cachePath("urls", fmt.Sprintf("%x", sha256.Sum256([]byte(source)))[:32]+".json")
	var known fetched
	err := state.ReadJSON(note, &known)
	if err != nil || known.URL != source || known.Digest.Validate() != nil ||
		!exists(c.s.b.urlPath(known.Digest)) {
		known = fetched{}
	}
	want := digest.Digest(c.in.Flag("checksum"))
	got, err := c.s.b.ask(source, want, known)
	if err == nil && got != known {
		var data []byte
		if data, err = json.Marshal(got); err == nil {
			err = state.Write(note, data, 0o600, state.Volatile)
		}
	}
	if err == nil {
		c.s.b.fetched[source] = got
	}
	return got, err
}

func (b *builder) urlPath(d digest.Digest) string { return b.cachePath("urls", d.Encoded()) }

// ask makes the request, unless the wanted digest is known.
func (b *builder) ask(source string, want digest.Digest, known fetched) (fetched, error) {
	if want != "" {
		if err := want.Validate(); err != nil {
			return known, fmt.Errorf("--checksum=%s: %w", want, err)
		}
		if known.Digest == want {
			return known, nil // the server could not send anything else
		}
	}
	request, err := http.NewRequestWithContext(b.ctx, http.MethodGet, source, nil)
	if err != nil {
		return known, err
	}
	if known.ETag != "" {
		request.Header.Set("If-None-Match", known.ETag)
	}
	if known.LastModified != "" {
		request.Header.Set("If-Modified-Since", known.LastModified)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return known, err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotModified && known.Digest != "":
		return known, nil
	case answer.StatusCode != http.StatusOK:
		return known, fmt.Errorf("the server says %s", answer.Status)
	}
	got := fetched{
		URL: source, Name: fileName(request.URL, answer.Header),
		ETag: answer.Header.Get("ETag"), LastModified: answer.Header.Get("Last-Modified"),
	}
	if got.Digest, err = b.keepURL(answer.Body, want); err != nil {
		return known, err
	}
	return got, nil
}

// keepURL writes the body of an answer to a file, and compares it with the wanted digest.
func (b *builder) keepURL(body io.Reader, want digest.Digest) (digest.Digest, error) {
	file, err := state.Create(b.cachePath("urls"))
	if err != nil {
		return "", err
	}
	defer func() { complain(file.Discard()) }()
	hash := digest.SHA256.Digester()
	_, err = io.Copy(io.MultiWriter(file, hash.Hash()), body)
	if err == nil && want != "" && hash.Digest() != want {
		err = fmt.Errorf("it has the checksum %s, and should have %s", hash.Digest(), want)
	}
	if err == nil {
		err = file.Commit(b.urlPath(hash.Digest()), 0o600, state.Durable)
	}
	return hash.Digest(), err
}
