// Package urlcache keeps files of web servers for ADD. A file is kept under the digest of its bytes, and
// beside it, under that of its address, what the server said of it: the next build asks whether its ETag
// is still the same (If-None-Match of RFC 9110), and the server sends the file only if it is not. A kept
// file is read and compared before it is used.
//
// A Cache is that of one build: Fetch gets a file, and Copy reads what is kept of it. The lesson reads
// Cache.Fetch, Cache.ask and Cache.keep.
package urlcache

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage06-dockerfile/download"
)

// Cache is a directory of downloads, and what one build has asked for.
type Cache struct {
	Dir string

	lock  sync.Mutex
	asked map[string]*asked
}

// asked is a file that a build asked for: once, and without waiting for others.
type asked struct {
	once   sync.Once
	answer download.Answer
	err    error
}

// kept is the answer to a URL, as it is on the disk.
type kept struct {
	URL string
	download.Answer
}

// Fetch fetches a file, unless the build did so already or the cache has it.
func (c *Cache) Fetch(ctx context.Context, request download.Request) (download.Answer, error) {
	c.lock.Lock()
	key := request.URL + " " + string(request.Checksum)
	a := c.asked[key]
	if a == nil {
		a = &asked{}
		if c.asked == nil {
			c.asked = map[string]*asked{}
		}
		c.asked[key] = a
	}
	c.lock.Unlock()
	a.once.Do(func() { a.answer, a.err = c.ask(ctx, request) })
	return a.answer, a.err
}

// Copy copies a file that Fetch has got. It is held against the limit and the checksum once more.
func (c *Cache) Copy(to io.Writer, request download.Request, got download.Answer) error {
	file, err := os.Open(c.path(got.Digest))
	if err != nil {
		return err
	}
	defer file.Close()
	is, _, err := request.Copy(to, file)
	if err == nil && is != got.Digest {
		err = fmt.Errorf("%s is damaged: remove it, and build again", file.Name())
	}
	return err
}

func (c *Cache) path(d digest.Digest) string { return filepath.Join(c.Dir, d.Encoded()) }

// ask fetches a file, unless what the cache has of it is whole and still the same.
func (c *Cache) ask(ctx context.Context, request download.Request) (download.Answer, error) {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(request.URL)))
	note := filepath.Join(c.Dir, sum[:32]+".json")
	var known kept
	err := state.ReadJSON(note, &known)
	if err != nil || known.URL != request.URL || known.Digest.Validate() != nil ||
		known.Verify(c.path(known.Digest)) != nil {
		known = kept{}
	}
	if known.Digest != "" && known.Digest == request.Checksum {
		return known.Answer, nil // the server could not send anything else
	}
	request.ETag = known.ETag
	got, err := c.keep(ctx, request)
	if err != nil || got.Unchanged {
		return known.Answer, err
	}
	data, err := json.Marshal(kept{request.URL, got})
	if err == nil {
		err = state.Write(note, data, 0o600, state.Durable)
	}
	return got, err
}

// keep fetches a file, and names it by its digest when it is whole.
func (c *Cache) keep(ctx context.Context, request download.Request) (a download.Answer, err error) {
	file, err := state.Create(c.Dir)
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, file.Discard()) }()
	if a, err = request.Fetch(ctx, file); err != nil || a.Unchanged {
		return a, err
	}
	return a, file.Commit(c.path(a.Digest), 0o600, state.Durable)
}
