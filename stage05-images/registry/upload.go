// Putting a blob: not at all if it is there, by a mount from another repository, in one request,
// or in chunks. An upload that breaks off begins again: no blob is continued in its middle.

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"stagebox/stage05-images/ocispec"
)

// chunkSize is how many bytes of an upload go in one request, if it cannot go as a whole.
const chunkSize = 8 << 20

// Outcome says how a push got a blob into a repository: Exists, Mounted or Pushed.
type Outcome string

// The outcomes of Push, the cheapest first.
const (
	Exists  Outcome = "exists"  // it was there already
	Mounted Outcome = "mounted" // taken from another repository of the same registry
	Pushed  Outcome = "pushed"  // uploaded
)

// Push gets a blob into a repository in the cheapest way that works. content has the bytes of the
// blob. from, if not "", is another repository of the registry that may have the blob. progress,
// which may be nil, is called with the number of bytes so far.
func (c *Client) Push(
	ctx context.Context, repo string, blob ocispec.Descriptor, content io.ReaderAt, from string,
	progress func(int64),
) (how Outcome, err error) {
	if has, err := c.hasBlob(ctx, repo, blob); err != nil || has {
		return Exists, err
	}
	u := &upload{c, repo, blob, content, from, progress}
	send := u.monolithic
	err = c.retry(ctx, func() error {
		how, err = send(ctx)
		refused := (*statusError)(nil)
		if errors.As(err, &refused) && refused.status < 500 && !isTransient(err) {
			send = u.chunked
			how, err = send(ctx)
		}
		return err
	})
	return how, err
}

// upload is a blob on its way.
type upload struct {
	*Client
	repo     string
	blob     ocispec.Descriptor
	content  io.ReaderAt
	from     string
	progress func(int64)
}

// start asks where to send the bytes. With from, it asks to mount the blob from there; if that was
// done, location is "".
func (u *upload) start(ctx context.Context) (location string, err error) {
	q := request{
		method: "POST", target: "/v2/" + u.repo + "/blobs/uploads/", scope: pushScope(u.repo),
		why: "where do the bytes go?",
	}
	from := u.from
	if u.from = ""; from != "" {
		q.target += "?mount=" + url.QueryEscape(u.blob.Digest.String()) +
			"&from=" + url.QueryEscape(from)
		q.scope += " " + pullScope(from)
		q.why = "take it from " + from + ", or say where the bytes go"
	}
	resp, err := u.do(ctx, q, http.StatusCreated, http.StatusAccepted)
	if refused := (*statusError)(nil); from != "" && errors.As(err, &refused) {
		return u.start(ctx)
	}
	if err != nil {
		return "", err
	}
	if resp.StatusCode == http.StatusCreated {
		return "", resp.Body.Close()
	}
	return nextLocation(resp)
}

// nextLocation is where an upload goes on: a path or a whole URL, which may have a query.
func nextLocation(resp *http.Response) (string, error) {
	where, err := resp.Location()
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return "", fmt.Errorf("%s %s: where to go on: %w",
			resp.Request.Method, publicURL(resp.Request.URL), err)
	}
	return where.String(), nil
}

// monolithic sends all bytes in one request, unless the blob could be mounted.
func (u *upload) monolithic(ctx context.Context) (Outcome, error) {
	location, err := u.start(ctx)
	if err != nil || location == "" {
		return Mounted, err
	}
	q := u.finish(location, "all the bytes; their digest says whether they are right")
	q.header = http.Header{"Content-Type": {"application/octet-stream"}, "Expect": {"100-continue"}}
	q.body, q.size, q.progress = u.content, u.blob.Size, u.progress
	return Pushed, u.expect(ctx, q, http.StatusCreated)
}

// chunked sends the bytes in several requests, for servers that refuse so large a one.
func (u *upload) chunked(ctx context.Context) (Outcome, error) {
	location, err := u.start(ctx)
	for offset := int64(0); err == nil && offset < u.blob.Size; offset += chunkSize {
		location, err = u.chunk(ctx, location, offset)
	}
	if err != nil {
		return "", err
	}
	q := u.finish(location, "these were all; their digest says whether they are right")
	return Pushed, u.expect(ctx, q, http.StatusCreated)
}

// chunk sends the bytes at an offset, and returns where to send the next ones.
func (u *upload) chunk(
	ctx context.Context, location string, offset int64,
) (next string, err error) {
	size := min(chunkSize, u.blob.Size-offset)
	q := request{
		method: "PATCH", target: location, scope: pushScope(u.repo), why: "a part of the bytes",
		header: http.Header{
			"Content-Type":  {"application/octet-stream"},
			"Content-Range": {fmt.Sprintf("%d-%d", offset, offset+size-1)},
		},
		body: io.NewSectionReader(u.content, offset, size), size: size,
	}
	if u.progress != nil {
		q.progress = func(n int64) { u.progress(offset + n) }
	}
	resp, err := u.do(ctx, q, http.StatusAccepted)
	if err != nil {
		return "", err
	}
	return nextLocation(resp)
}

// finish is the request that ends an upload. The query of the server's location stays as it is: it
// may be signed.
func (u *upload) finish(location, why string) request {
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	location += separator + "digest=" + url.QueryEscape(u.blob.Digest.String())
	return request{method: "PUT", target: location, scope: pushScope(u.repo), why: why}
}
