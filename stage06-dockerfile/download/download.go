// Package download fetches a file from a web server for ADD. A Request says what is wanted: how much
// at most, with which checksum, and which version is known already (If-None-Match of RFC 9110,
// section 13.1.2). A server that sends nothing for Request.Idle is given up on.
//
// The time of a file (If-Modified-Since) is not asked about: two versions can have the same, and
// the clock of a server can go back.
package download

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"stagebox/stage05-images/digest"
	"stagebox/stage06-dockerfile/dockerfile"
)

// CheckSources refuses an ADD of a repository, and a checksum of anything but one address.
func CheckSources(in *dockerfile.Instruction) error {
	sources := in.Args[:len(in.Args)-1]
	if i := slices.IndexFunc(sources, IsRepository); i >= 0 && in.Name == "ADD" {
		return in.ErrorAt(sources[i], "%s %s: a git repository is not fetched:"+
			" clone it beside the Dockerfile, and COPY it", in.Name, sources[i])
	}
	if in.Flag("checksum") != "" && (len(sources) != 1 || !IsURL(sources[0])) {
		return in.ErrorAt("--checksum", "--checksum needs exactly one source, a URL that begins"+
			" with http or https")
	}
	return nil
}

// Request is a file that is wanted.
type Request struct {
	URL      string
	ETag     string            // of the version that is known, or ""
	Checksum digest.Digest     // that it must have, or ""
	Limit    func(int64) error // refuses a size in bytes
	Idle     time.Duration     // how long to wait for data; 0: DefaultIdle
}

// DefaultIdle is how long a server may send nothing.
const DefaultIdle = time.Minute

// Answer is what a server says of its file.
type Answer struct {
	Unchanged    bool   // it is the version of Request.ETag, and its content was not sent
	Name         string // of the file, or "" if the address has none
	ETag         string
	LastModified string
	Digest       digest.Digest // sha256 of the content
	Size         int64
}

// IsURL reports whether a source of ADD is an address, and not a path.
func IsURL(source string) bool {
	return strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
}

// IsRepository reports whether a source of ADD is a git repository, in the forms that BuildKit
// knows. Over HTTP its server would answer, too: with a page for people.
func IsRepository(source string) bool {
	if !IsURL(source) {
		return repository.MatchString(source)
	}
	u, err := url.Parse(source)
	return err == nil && strings.HasSuffix(u.Path, ".git")
}

// repository is an address of git's, or the form of scp(1) that git also takes.
var repository = regexp.MustCompile(`^(git|ssh)://|^[\w-]+@[\w.-]+:`)

// Modified is LastModified, or 1970 if the server has not said it.
func (a Answer) Modified() time.Time {
	at, err := http.ParseTime(a.LastModified)
	if err != nil {
		at = time.Unix(0, 0)
	}
	return at
}

// Fetch writes the file to a writer, unless it is the version that is known.
func (r Request) Fetch(ctx context.Context, to io.Writer) (Answer, error) {
	idle := cmp.Or(r.Idle, DefaultIdle)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(idle, func() {
		cancel(fmt.Errorf("no data for %v: %w", idle, os.ErrDeadlineExceeded))
	})
	defer timer.Stop()
	a, err := r.fetch(ctx, to, func() { timer.Reset(idle) })
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return a, err
}

func (r Request) fetch(ctx context.Context, to io.Writer, alive func()) (a Answer, err error) {
	if err := r.Checksum.Validate(); r.Checksum != "" && err != nil {
		return a, fmt.Errorf("--checksum=%s: %w", r.Checksum, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return a, err
	}
	if r.ETag != "" {
		request.Header.Set("If-None-Match", r.ETag)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return a, err
	}
	defer answer.Body.Close()
	alive()
	a = Answer{Name: fileName(request.URL, answer.Header),
		ETag: answer.Header.Get("ETag"), LastModified: answer.Header.Get("Last-Modified")}
	switch {
	case answer.StatusCode == http.StatusNotModified && r.ETag != "":
		if a.ETag != "" && weak(a.ETag) != weak(r.ETag) { // of another version after all
			r.ETag = ""
			return r.fetch(ctx, to, alive)
		}
		a.Unchanged = true
		return a, nil
	case answer.StatusCode != http.StatusOK:
		return a, fmt.Errorf("the server says %s", answer.Status)
	}
	if answer.ContentLength > 0 {
		if err := r.Limit(answer.ContentLength); err != nil {
			return a, err
		}
	}
	a.Digest, a.Size, err = r.Copy(to, &watched{answer.Body, alive})
	return a, err
}

// weak returns an ETag without its mark of weakness: how If-None-Match compares.
func weak(tag string) string { return strings.TrimPrefix(tag, "W/") }

// Copy copies the content of the file, as the server sends it or as it was kept, and holds it
// against the limit and the checksum. It returns its digest and size.
func (r Request) Copy(to io.Writer, from io.Reader) (digest.Digest, int64, error) {
	sum, want := digest.SHA256.Digester(), digest.SHA256.Digester()
	writers := []io.Writer{sum.Hash(), to}
	if r.Checksum != "" {
		want = r.Checksum.Algorithm().Digester()
		writers = append(writers, want.Hash())
	}
	n, err := io.Copy(&limited{io.MultiWriter(writers...), r.Limit, 0}, from)
	if err == nil && r.Checksum != "" && want.Digest() != r.Checksum {
		err = fmt.Errorf("its checksum is %s, not %s", want.Digest(), r.Checksum)
	}
	return sum.Digest(), n, err
}

// limited refuses more than a limit allows.
type limited struct {
	to    io.Writer
	limit func(int64) error
	bytes int64
}

func (l *limited) Write(p []byte) (int, error) {
	l.bytes += int64(len(p))
	if err := l.limit(l.bytes); err != nil {
		return 0, err
	}
	return l.to.Write(p)
}

// watched notes each time that data comes.
type watched struct {
	from  io.Reader
	alive func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.from.Read(p)
	w.alive()
	return n, err
}

// fileName is the name that a server gives a file, or else the end of its address.
func fileName(u *url.URL, header http.Header) string {
	_, words, err := mime.ParseMediaType(header.Get("Content-Disposition"))
	if name := path.Base(path.Clean("/" + words["filename"])); err == nil && name != "/" {
		return name
	}
	name := path.Base(u.Path)
	if !strings.HasSuffix(u.Path, "/") && name != "." && name != ".." {
		return name
	}
	return ""
}

// Verify reads what was kept of an answer, and returns an error if it is not that any more.
func (a Answer) Verify(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	unlimited := Request{Limit: func(n int64) error {
		if n > a.Size {
			return errors.New("it is longer than it was")
		}
		return nil
	}}
	is, size, err := unlimited.Copy(io.Discard, file)
	if err == nil && (is != a.Digest || size != a.Size) {
		err = errors.New("its content is not what it was")
	}
	return err
}
