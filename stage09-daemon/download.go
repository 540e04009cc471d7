// ADD of a URL, with the cache: package urlcache keeps the file, and asks the server at the next
// build whether it is still the same.

package main

import (
	"os"

	"stagebox/stage06-dockerfile/download"
)

// get copies the kept file of a URL.
func (c *copying) get(source string, to *os.File) (download.Answer, error) {
	got, err := c.fetchOnce(source)
	if err == nil {
		err = c.s.b.urls.Copy(to, c.request(source), got)
	}
	return got, err
}

// fetchOnce fetches a URL, unless the build did so already or the cache has it.
func (c *copying) fetchOnce(source string) (download.Answer, error) {
	return c.s.b.urls.Fetch(c.s.b.ctx, c.request(source))
}
