// A registry is five requests (the OCI Distribution Specification): GET and PUT of a manifest,
// HEAD and GET of a blob, and POST with PUT, which uploads one. curl can make each of them.
// Everything is named by the digest of its bytes, so nothing that comes needs to be believed:
// it is hashed. How the requests get there, and back, is in connection.go and auth.go.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// chunkSize is how much of an upload goes in one part, where it cannot go as a whole.
const chunkSize = 8 << 20

// manifestTypes are what an image can be described by: an index, for several platforms, and a
// manifest, for one; each by the name that OCI has for it, and by Docker's.
var manifestTypes = []string{
	ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest,
	"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
}

// pullScope and pushScope are what a token has to allow.
func pullScope(repo string) string { return "repository:" + repo + ":pull" }
func pushScope(repo string) string { return "repository:" + repo + ":pull,push" }

// Manifest gets the manifest or index that a name stands for, with what describes it.
func (r *Registry) Manifest(ctx context.Context, ref Reference) (ocispec.Descriptor, []byte, error) {
	var desc ocispec.Descriptor
	if ref.Digest != "" {
		if err := ref.Digest.Validate(); err != nil {
			return desc, nil, fmt.Errorf("manifest %s: %w", printable(ref.Digest.String()), err)
		}
	}
	header, data, err := r.fetch(ctx, request{
		method: "GET", target: manifestPath(ref), scope: pullScope(ref.Repository), why: "what is the image made of?",
		header: http.Header{"Accept": manifestTypes},
	})
	if err != nil {
		return desc, nil, err
	}
	want := ref.Digest
	if told := digest.Digest(header.Get("Docker-Content-Digest")); want == "" && told.Validate() == nil {
		want = told
	}
	sum := cmp.Or(want, digest.FromBytes(nil)).Algorithm().FromBytes(data)
	if want != "" && want != sum {
		return desc, nil, fmt.Errorf("manifest %s: the registry sent other bytes; their digest is %s", want, sum)
	}
	desc = ocispec.Descriptor{Digest: sum, Size: int64(len(data))}
	desc.MediaType, err = manifestType(header.Get("Content-Type"), data)
	return desc, data, err
}

func manifestPath(ref Reference) string {
	return "/v2/" + ref.Repository + "/manifests/" + cmp.Or(ref.Digest.String(), ref.Tag)
}

// manifestType is the kind of a manifest. Where it names itself and the answer's header names
// something else, one reader would see a manifest and another an index (CVE-2021-41190).
func manifestType(header string, data []byte) (string, error) {
	var self struct{ MediaType string }
	if err := json.Unmarshal(data, &self); err != nil {
		return "", fmt.Errorf("the manifest is not JSON: %w", err)
	}
	kind, _, _ := strings.Cut(header, ";")
	switch {
	case !slices.Contains(manifestTypes, kind) && self.MediaType != "":
		kind = self.MediaType
	case self.MediaType != "" && self.MediaType != kind:
		return "", fmt.Errorf("the registry calls the manifest %s, and itself it says %s", kind, printable(self.MediaType))
	}
	if !slices.Contains(manifestTypes, kind) {
		return "", fmt.Errorf("%q is not the type of an image's manifest", printable(kind))
	}
	return kind, nil
}

// PutManifest gives a name to a manifest. Its blobs have to be there.
func (r *Registry) PutManifest(ctx context.Context, ref Reference, mediaType string, data []byte) error {
	q := request{
		method: "PUT", target: manifestPath(ref), scope: pushScope(ref.Repository), why: "all blobs are there: this is the image",
		header: http.Header{"Content-Type": {mediaType}},
	}
	q.content(data)
	return r.retry(ctx, func() error { return r.done(ctx, q, http.StatusCreated) })
}

// done makes a request of whose answer only the status counts.
func (r *Registry) done(ctx context.Context, q request, want int) error {
	resp, err := r.do(ctx, q, want)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// HasBlob asks whether a blob is in a repository.
func (r *Registry) HasBlob(ctx context.Context, repo string, blob ocispec.Descriptor) (has bool, err error) {
	q := request{method: "HEAD", target: blobPath(repo, blob), scope: pushScope(repo), why: "is this blob there already?"}
	err = r.retry(ctx, func() error {
		resp, err := r.do(ctx, q, http.StatusOK, http.StatusNotFound)
		if err != nil {
			return err
		}
		has = resp.StatusCode == http.StatusOK
		return resp.Body.Close()
	})
	return has, err
}

func blobPath(repo string, blob ocispec.Descriptor) string {
	return "/v2/" + repo + "/blobs/" + blob.Digest.String()
}

// Download is a blob that comes as it is read. A broken connection is taken up again where it
// broke. Its end is io.EOF only if the size and the digest are right.
type Download struct {
	registry *Registry
	ctx      context.Context
	repo     string
	blob     ocispec.Descriptor
	progress func(int64)
	body     io.ReadCloser
	hash     hash.Hash
	at       int64
	failed   int   // attempts in a row,
	mark     int64 // since here
	err      error
}

// Blob begins with the first Read. Close ends it at any time. progress, which may be nil, gets
// the number of bytes so far.
func (r *Registry) Blob(ctx context.Context, repo string, blob ocispec.Descriptor, progress func(int64)) (*Download, error) {
	if err := blob.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("blob %q: %w", printable(blob.Digest.String()), err)
	}
	if blob.Size < 0 {
		return nil, fmt.Errorf("blob %s: a size of %d bytes cannot be", blob.Digest, blob.Size)
	}
	return &Download{registry: r, ctx: ctx, repo: repo, blob: blob, progress: progress, hash: blob.Digest.Algorithm().Hash()}, nil
}

// Resume takes the beginning from what an earlier download has left, and returns its length.
func (d *Download) Resume(start io.Reader) (int64, error) {
	n, err := io.Copy(d.hash, io.LimitReader(start, d.blob.Size))
	d.at, d.mark = n, n
	return n, err
}

func (d *Download) Read(p []byte) (int, error) {
	for d.err == nil && len(p) > 0 {
		if d.at == d.blob.Size {
			d.err = d.verify()
			break
		}
		n, err := d.more(p)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			d.failed++
			d.err = errors.Join(d.Close(), d.registry.await(d.ctx, d.failed, err))
		}
	}
	return 0, d.err
}

// more reads from the connection, which is made where there is none.
func (d *Download) more(p []byte) (n int, err error) {
	if d.body == nil {
		if d.body, err = d.open(); err != nil {
			return 0, err
		}
	}
	n, err = d.body.Read(p[:min(int64(len(p)), d.blob.Size-d.at)])
	d.hash.Write(p[:n])
	if d.at += int64(n); n > 0 && d.progress != nil {
		d.progress(d.at)
	}
	if d.at-d.mark >= 1<<20 {
		d.mark, d.failed = d.at, 0
	}
	if err != nil {
		err = fmt.Errorf("blob %s broke off at byte %d of %d: %w", d.blob.Digest, d.at, d.blob.Size, err)
	}
	return n, err
}

// open asks for what is missing, and reads over what is not where the server sends all.
func (d *Download) open() (io.ReadCloser, error) {
	q := request{method: "GET", target: blobPath(d.repo, d.blob), scope: pullScope(d.repo), why: "the bytes of this blob"}
	if d.at > 0 {
		q.why = fmt.Sprintf("the rest of it, from byte %d on", d.at)
		q.header = http.Header{"Range": {fmt.Sprintf("bytes=%d-", d.at)}}
	}
	resp, err := d.registry.do(d.ctx, q, http.StatusOK, http.StatusPartialContent)
	if err != nil {
		return nil, err
	}
	part := resp.Header.Get("Content-Range")
	switch {
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(part, fmt.Sprintf("bytes %d-", d.at)):
		return resp.Body, nil
	case resp.StatusCode == http.StatusPartialContent:
		err = fmt.Errorf("blob %s: the registry was asked for the bytes from %d on, and sent %q", d.blob.Digest, d.at, printable(part))
	case resp.ContentLength >= 0 && resp.ContentLength != d.blob.Size:
		err = fmt.Errorf("blob %s: the registry has %d bytes, and the manifest says %d", d.blob.Digest, resp.ContentLength, d.blob.Size)
	default:
		_, err = io.CopyN(io.Discard, resp.Body, d.at)
	}
	if err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return resp.Body, nil
}

// verify is io.EOF for the right bytes.
func (d *Download) verify() error {
	if sum := digest.NewDigest(d.blob.Digest.Algorithm(), d.hash); sum != d.blob.Digest {
		return fmt.Errorf("blob %s: the registry sent other bytes; their digest is %s", d.blob.Digest, sum)
	}
	return io.EOF
}

// isComplete tells whether all bytes came, be they right or wrong.
func (d *Download) isComplete() bool { return d.at == d.blob.Size && d.err != nil }

// Close ends the connection.
func (d *Download) Close() error {
	if d.body == nil {
		return nil
	}
	err := d.body.Close()
	d.body = nil
	return err
}

// Push makes a blob be in a repository, in the cheapest way that works, and says which: it is
// "there", or "mounted" from another repository, from, which may be "", or it is "pushed".
func (r *Registry) Push(ctx context.Context, repo string, blob ocispec.Descriptor, content io.ReaderAt, from string, progress func(int64)) (how string, err error) {
	if has, err := r.HasBlob(ctx, repo, blob); err != nil || has {
		return "there", err
	}
	u := &upload{r, repo, blob, content, from, progress}
	send := u.whole
	err = r.retry(ctx, func() error {
		how, err = send(ctx)
		if answer := (*refusal)(nil); errors.As(err, &answer) && answer.status < 500 && !transient(err) {
			send = u.parts
			how, err = send(ctx)
		}
		return err
	})
	return how, err
}

// upload is a blob on its way.
type upload struct {
	*Registry
	repo     string
	blob     ocispec.Descriptor
	content  io.ReaderAt
	from     string
	progress func(int64)
}

// begin asks where to send the bytes, or with from, to take them from there: then it returns "".
func (u *upload) begin(ctx context.Context) (place string, err error) {
	q := request{method: "POST", target: "/v2/" + u.repo + "/blobs/uploads/", scope: pushScope(u.repo), why: "where shall the bytes go?"}
	from := u.from
	if u.from = ""; from != "" {
		q.target += "?mount=" + url.QueryEscape(u.blob.Digest.String()) + "&from=" + url.QueryEscape(from)
		q.scope += " " + pullScope(from)
		q.why = "take it from " + from + ", or say where the bytes shall go"
	}
	resp, err := u.do(ctx, q, http.StatusCreated, http.StatusAccepted)
	if answer := (*refusal)(nil); from != "" && errors.As(err, &answer) {
		return u.begin(ctx)
	}
	if err != nil {
		return "", err
	}
	if resp.StatusCode == http.StatusCreated {
		return "", resp.Body.Close()
	}
	return nextPlace(resp)
}

// nextPlace is where an upload goes on: a path or a whole URL, which may have a query of its own.
func nextPlace(resp *http.Response) (string, error) {
	where, err := resp.Location()
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return "", fmt.Errorf("%s %s: where to go on: %w", resp.Request.Method, publicURL(resp.Request.URL), err)
	}
	return where.String(), nil
}

// whole sends all bytes in one request, unless begin makes that needless.
func (u *upload) whole(ctx context.Context) (how string, err error) {
	place, err := u.begin(ctx)
	if err != nil || place == "" {
		return "mounted", err
	}
	q := u.finish(place, "all the bytes; their digest says whether they are right")
	q.header = http.Header{"Content-Type": {"application/octet-stream"}, "Expect": {"100-continue"}}
	q.body, q.size, q.progress = u.content, u.blob.Size, u.progress
	return "pushed", u.done(ctx, q, http.StatusCreated)
}

// parts sends the bytes in several requests, for servers that refuse so large a one.
func (u *upload) parts(ctx context.Context) (how string, err error) {
	place, err := u.begin(ctx)
	for at := int64(0); err == nil && at < u.blob.Size; at += chunkSize {
		size := min(chunkSize, u.blob.Size-at)
		q := request{
			method: "PATCH", target: place, scope: pushScope(u.repo), why: "a part of the bytes",
			header: http.Header{"Content-Type": {"application/octet-stream"}, "Content-Range": {fmt.Sprintf("%d-%d", at, at+size-1)}},
			body:   io.NewSectionReader(u.content, at, size), size: size,
		}
		if u.progress != nil {
			q.progress = func(n int64) { u.progress(at + n) }
		}
		resp, err := u.do(ctx, q, http.StatusAccepted)
		if err != nil {
			return "", err
		}
		if place, err = nextPlace(resp); err != nil {
			return "", err
		}
	}
	if err != nil {
		return "", err
	}
	return "pushed", u.done(ctx, u.finish(place, "these were all; their digest says whether they are right"), http.StatusCreated)
}

// finish is the request that ends an upload. The query that the server gave stays as it is: it
// may be signed.
func (u *upload) finish(place, why string) request {
	separator := "?"
	if strings.Contains(place, "?") {
		separator = "&"
	}
	place += separator + "digest=" + url.QueryEscape(u.blob.Digest.String())
	return request{method: "PUT", target: place, scope: pushScope(u.repo), why: why}
}

// Tags are the names in a repository.
func (r *Registry) Tags(ctx context.Context, repo string) ([]string, error) {
	return r.list(ctx, "/v2/"+repo+"/tags/list?n=1000", pullScope(repo), "which tags are there?")
}

// Catalog is the list of the repositories. Not every registry shows it.
func (r *Registry) Catalog(ctx context.Context) ([]string, error) {
	return r.list(ctx, "/v2/_catalog?n=1000", "registry:catalog:*", "which repositories are there?")
}

// list reads a list that comes in pages: Link leads to the next (RFC 8288). An endless one is not read to its end.
func (r *Registry) list(ctx context.Context, target, scope, why string) (names []string, err error) {
	for budget := 4 * maxAnswer; target != ""; {
		header, data, err := r.fetch(ctx, request{method: "GET", target: target, scope: scope, why: why})
		if err != nil {
			return nil, err
		}
		var page struct{ Tags, Repositories []string }
		if err := json.Unmarshal(data, &page); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Host, err)
		}
		if budget -= max(len(data), maxAnswer/64); budget < 0 {
			return nil, fmt.Errorf("the list of %s does not end: gave up after %d names", r.Host, len(names))
		}
		for _, name := range append(page.Tags, page.Repositories...) {
			names = append(names, printable(name))
		}
		link, rest, _ := strings.Cut(header.Get("Link"), ">")
		if target = strings.TrimPrefix(link, "<"); !strings.Contains(rest, "next") {
			target = ""
		}
	}
	return names, nil
}

// Found is a repository that search has found.
type Found struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Stars       int    `json:"star_count"`
	Official    bool   `json:"is_official"`
}

// Search asks the default registry's index for a word, or looks for it in another's catalog.
func (r *Registry) Search(ctx context.Context, word string, limit int) (found []Found, err error) {
	if r.Host != defaultRegistry {
		names, err := r.Catalog(ctx)
		for _, name := range names {
			if strings.Contains(name, word) && len(found) < limit {
				found = append(found, Found{Name: r.Host + "/" + name})
			}
		}
		return found, err
	}
	query := url.Values{"q": {word}, "n": {strconv.Itoa(limit)}}
	_, data, err := r.fetch(ctx, request{method: "GET", target: "https://" + defaultIndex + "/v1/search?" + query.Encode(), why: "which images have this word?"})
	if err != nil {
		return nil, err
	}
	var answer struct{ Results []Found }
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", defaultIndex, err)
	}
	for i, one := range answer.Results {
		answer.Results[i].Name, answer.Results[i].Description = printable(one.Name), printable(one.Description)
	}
	return answer.Results, nil
}
