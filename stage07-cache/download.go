// ADD of a URL, with the cache: the file is kept under the digest of its bytes, and beside it what
// the server said of it. The next build asks whether its ETag is still the same (If-None-Match of
// RFC 9110), and the server sends the file only if it is not. The kept file is read and compared
// before it is used.

package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage06-dockerfile/download"
)

// fetched is the answer to a URL, in cache/urls.
type fetched struct {
	URL string
	download.Answer
}

// fetchedOnce is a URL that a build asked for: once, and without waiting for others.
type fetchedOnce struct {
	once sync.Once
	got  fetched
	err  error
}

// get copies the kept file of a URL. It is held against the limit and the checksum once more.
func (c *copying) get(source string, to *os.File) (download.Answer, error) {
	got, err := c.fetchOnce(source)
	if err != nil {
		return got.Answer, err
	}
	file, err := os.Open(c.s.b.urlPath(got.Digest))
	if err != nil {
		return got.Answer, err
	}
	defer file.Close()
	is, _, err := c.request(source).Copy(to, file)
	if err == nil && is != got.Digest {
		err = fmt.Errorf("%s is damaged: remove it, and build again", file.Name())
	}
	return got.Answer, err
}

// fetchOnce fetches a URL, unless the build did so already or the cache has it.
func (c *copying) fetchOnce(source string) (fetched, error) {
	b, request := c.s.b, c.request(source)
	b.urls.Lock()
	key := source + " " + string(request.Checksum)
	f := b.fetched[key]
	if f == nil {
		f = &fetchedOnce{}
		b.fetched[key] = f
	}
	b.urls.Unlock()
	f.once.Do(func() { f.got, f.err = b.askFor(request) })
	return f.got, f.err
}

func (b *builder) urlPath(d digest.Digest) string { return b.cachePath("urls", d.Encoded()) }

// askFor fetches a URL, unless what the cache has of it is whole and still the same.
func (b *builder) askFor(request download.Request) (got fetched, err error) {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(request.URL)))
	note := b.cachePath("urls", sum[:32]+".json")
	var known fetched
	err = state.ReadJSON(note, &known)
	if err != nil || known.URL != request.URL || known.Digest.Validate() != nil ||
		known.Verify(b.urlPath(known.Digest)) != nil {
		known = fetched{}
	}
	if known.Digest != "" && known.Digest == request.Checksum {
		return known, nil // the server could not send anything else
	}
	request.ETag = known.ETag
	if got, err = b.keepURL(request); err != nil || got.Unchanged {
		return known, err
	}
	data, err := json.Marshal(got)
	if err == nil {
		err = state.Write(note, data, 0o600, state.Durable)
	}
	return got, err
}

// keepURL fetches a URL to a file that is named by its digest when it is whole.
func (b *builder) keepURL(request download.Request) (got fetched, err error) {
	file, err := state.Create(b.cachePath("urls"))
	if err != nil {
		return got, err
	}
	defer func() { complain(file.Discard()) }()
	got.URL = request.URL
	if got.Answer, err = request.Fetch(b.ctx, file); err != nil || got.Unchanged {
		return got, err
	}
	return got, file.Commit(b.urlPath(got.Digest), 0o600, state.Durable)
}
