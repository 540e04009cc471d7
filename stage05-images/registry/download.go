// Getting a blob: it is hashed as it is read, and resumed if the connection breaks.

package registry

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
)

// Download is a blob that is fetched as it is read. A broken connection is resumed where it broke.
// Read returns io.EOF only if the size and the digest are those of the blob's descriptor.
type Download struct {
	client   *Client
	ctx      context.Context
	repo     string
	blob     ocispec.Descriptor
	progress func(int64)
	body     io.ReadCloser
	hash     hash.Hash
	offset   int64
	failed   int   // attempts in a row,
	mark     int64 // since this offset
	err      error
}

// Document gets a small blob as a whole.
func (c *Client) Document(ctx context.Context, repo string, d ocispec.Descriptor) ([]byte, error) {
	blob, err := c.Blob(ctx, repo, d, nil)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(blob)
	return data, errors.Join(err, blob.Close())
}

// Blob returns a download that begins with the first Read; Close ends it at any time. progress,
// which may be nil, is called with the number of bytes so far. The error is about blob: no request
// has been made.
func (c *Client) Blob(
	ctx context.Context, repo string, blob ocispec.Descriptor, progress func(int64),
) (*Download, error) {
	if err := blob.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("blob %q: %w", Printable(blob.Digest.String()), err)
	}
	if blob.Size < 0 {
		return nil, fmt.Errorf("blob %s: invalid size %d", blob.Digest, blob.Size)
	}
	return &Download{client: c, ctx: ctx, repo: repo, blob: blob, progress: progress,
		hash: blob.Digest.Algorithm().Hash()}, nil
}

// Resume takes the beginning of the blob from what an earlier download has left, and returns how
// many bytes that are. It must be called before Read, which goes on after them.
func (d *Download) Resume(start io.Reader) (int64, error) {
	n, err := io.Copy(d.hash, io.LimitReader(start, d.blob.Size))
	d.offset, d.mark = n, n
	return n, err
}

func (d *Download) Read(p []byte) (int, error) {
	for d.err == nil && len(p) > 0 {
		if d.offset == d.blob.Size {
			d.err = d.verify()
			break
		}
		n, err := d.readBody(p)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			d.failed++
			d.err = errors.Join(d.Close(), d.client.waitToRetry(d.ctx, d.failed, err))
		}
	}
	return 0, d.err
}

// readBody reads from the connection, and makes one if there is none.
func (d *Download) readBody(p []byte) (n int, err error) {
	if d.body == nil {
		if d.body, err = d.open(); err != nil {
			return 0, err
		}
	}
	n, err = d.body.Read(p[:min(int64(len(p)), d.blob.Size-d.offset)])
	d.hash.Write(p[:n])
	if d.offset += int64(n); n > 0 && d.progress != nil {
		d.progress(d.offset)
	}
	if d.offset-d.mark >= 1<<20 {
		d.mark, d.failed = d.offset, 0
	}
	if err != nil {
		err = fmt.Errorf("blob %s broke off at byte %d of %d: %w",
			d.blob.Digest, d.offset, d.blob.Size, err)
	}
	return n, err
}

// open asks for the missing bytes.
func (d *Download) open() (io.ReadCloser, error) {
	q := request{
		method: "GET", target: blobPath(d.repo, d.blob), scope: pullScope(d.repo),
		why: "the bytes of this blob",
	}
	if d.offset > 0 {
		q.why = fmt.Sprintf("the rest of it, from byte %d on", d.offset)
		q.header = http.Header{"Range": {fmt.Sprintf("bytes=%d-", d.offset)}}
	}
	resp, err := d.client.do(d.ctx, q, http.StatusOK, http.StatusPartialContent)
	if err != nil {
		return nil, err
	}
	if err := d.seek(resp); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return resp.Body, nil
}

// seek checks that an answer goes on at the offset. A server that knows no ranges sends the whole
// blob (RFC 9110, section 14.2): then its beginning is skipped.
func (d *Download) seek(resp *http.Response) (err error) {
	part := resp.Header.Get("Content-Range")
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		if !strings.HasPrefix(part, fmt.Sprintf("bytes %d-", d.offset)) {
			err = fmt.Errorf("blob %s: the registry was asked for the bytes from %d on, and sent %q",
				d.blob.Digest, d.offset, Printable(part))
		}
	case resp.ContentLength >= 0 && resp.ContentLength != d.blob.Size:
		err = fmt.Errorf("blob %s: the registry has %d bytes, and the manifest says %d",
			d.blob.Digest, resp.ContentLength, d.blob.Size)
	default:
		_, err = io.CopyN(io.Discard, resp.Body, d.offset)
	}
	return err
}

// verify returns io.EOF if the digest is right.
func (d *Download) verify() error {
	if sum := digest.NewDigest(d.blob.Digest.Algorithm(), d.hash); sum != d.blob.Digest {
		return fmt.Errorf("blob %s: the registry sent other bytes; their digest is %s",
			d.blob.Digest, sum)
	}
	return io.EOF
}

// Err is the error with which Read ended the download: nil while it goes on, io.EOF for a blob that
// is complete and right.
func (d *Download) Err() error { return d.err }

// IsComplete reports whether all bytes have come and were checked, be they right or wrong. After
// an error, a download that is not complete can be resumed by a later one.
func (d *Download) IsComplete() bool { return d.offset == d.blob.Size && d.err != nil }

// Close ends the connection.
func (d *Download) Close() error {
	if d.body == nil {
		return nil
	}
	err := d.body.Close()
	d.body = nil
	return err
}
