// What the requests to a registry travel over. Any connection may stall or break, and any
// server may be busy, send us elsewhere, or send without an end; so nothing here waits, reads,
// follows or repeats without a bound. TLS is a must, except on this host. Read do first.
package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
)

const (
	maxAnswer    = 4 << 20         // bytes, of anything that is not a blob; the specification advises it for manifests
	maxRedirects = 10              // in a row
	maxAttempts  = 5               // that fail in a row
	maxPause     = 2 * time.Minute // that a registry may ask for between two of them
)

// Registry is a client of one registry. Several goroutines may use it at once.
type Registry struct {
	Host string
	Tell func(Exchange) // if not nil, is called for each request; by several goroutines at once

	insecure  bool
	stall     time.Duration // how long nothing may move
	pause     time.Duration // before the second attempt; it doubles
	transport *http.Transport

	probing  sync.Mutex
	origin   *url.URL // scheme, host and port; nil until it is known
	granting sync.Mutex
	granted  map[string]string // the Authorization header for a scope
	login    credential        // instead of what config.json has
}

// Exchange is a request and its answer, for people. What could be a secret is not in it.
type Exchange struct {
	Method, URL string
	Status      int   // 0 when there was no answer
	Err         error // then this is why
	Why         string
}

// String is one line, such as "GET https://…/v2/alpine/tags/list: 200 OK (which tags are there?)".
func (e Exchange) String() string {
	end := fmt.Sprint(e.Err)
	if e.Err == nil {
		end = strings.TrimSpace(fmt.Sprint(e.Status, " ", http.StatusText(e.Status)))
	}
	return fmt.Sprintf("%s %s: %s (%s)", e.Method, e.URL, end, e.Why)
}

// newRegistry makes no connection yet. The registry speaks HTTPS, with a certificate of the
// system's authorities or of Docker's certs.d/HOST/ca.crt; one on this host may speak HTTP, and
// an insecure one what it likes.
func newRegistry(host string, insecure bool) (*Registry, error) {
	authorities, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the system's certificates: %w", err)
	}
	dirs := []string{"/etc"}
	if home, err := os.UserConfigDir(); err == nil {
		dirs = append(dirs, home)
	}
	for _, dir := range dirs {
		file := filepath.Join(dir, "docker/certs.d", host, "ca.crt")
		switch pem, err := os.ReadFile(file); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case !authorities.AppendCertsFromPEM(pem):
			return nil, fmt.Errorf("%s: there is no certificate in PEM form in it", file)
		}
	}
	return &Registry{
		Host: host, insecure: insecure, stall: time.Minute, pause: time.Second, granted: map[string]string{},
		transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: authorities, InsecureSkipVerify: insecure},
			DisableCompression:     true, // digests are of the bytes as they are sent
			MaxIdleConnsPerHost:    16,
			MaxResponseHeaderBytes: 64 << 10,
			ExpectContinueTimeout:  time.Second,
			ReadBufferSize:         64 << 10,
			WriteBufferSize:        64 << 10,
		},
	}, nil
}

// base is where the registry is. It is found out once whether one that may speak plain HTTP
// does, by trying HTTPS.
func (r *Registry) base(ctx context.Context) (*url.URL, error) {
	r.probing.Lock()
	defer r.probing.Unlock()
	if r.origin != nil {
		return r.origin, nil
	}
	base := &url.URL{Scheme: "https", Host: r.Host}
	if r.Host == defaultRegistry {
		base.Host = defaultAPI
	}
	if r.insecure || isLoopback(base) {
		ctx, cancel := context.WithTimeout(ctx, r.stall)
		defer cancel()
		req := &http.Request{Method: "GET", URL: base.JoinPath("/v2/"), Header: http.Header{}}
		resp, err := (&hop{registry: r, why: "does it speak TLS?", origin: base}).RoundTrip(req.WithContext(ctx))
		if err == nil {
			resp.Body.Close()
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", base, context.Cause(ctx))
		}
		if untrusted := (*tls.CertificateVerificationError)(nil); err != nil && !errors.As(err, &untrusted) {
			base.Scheme = "http"
		}
	}
	r.origin = base
	return base, nil
}

func isLoopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// request is one of the five, or a like one.
type request struct {
	method   string
	target   string // relative to the registry, or a whole URL
	scope    string // what a token has to allow
	why      string
	header   http.Header // its names in canonical form
	body     io.ReaderAt
	size     int64
	progress func(int64)
	realm    bool   // it goes to the server that hands out tokens,
	auth     string // with this
}

func (q *request) content(data []byte) { q.body, q.size = bytes.NewReader(data), int64(len(data)) }

// do makes a request, and again when the registry wants to know who asks, or wants to know it
// anew because a token's time is over. The answer has one of the wanted statuses.
func (r *Registry) do(ctx context.Context, q request, want ...int) (*http.Response, error) {
	base, err := r.base(ctx)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		auth := q.auth
		if !q.realm {
			auth = r.grant(q.scope)
		}
		resp, err := r.send(ctx, base, q, auth)
		if err != nil || slices.Contains(want, resp.StatusCode) {
			return resp, err
		}
		refused := r.refused(q.method, resp)
		// Who else answers 401, after a redirect, must not learn who we are.
		own := resp.Request.URL.Scheme == base.Scheme && resp.Request.URL.Host == base.Host
		if resp.StatusCode != http.StatusUnauthorized || !first || !own || q.realm {
			return nil, refused
		}
		if err := r.authorize(ctx, q.scope, auth, resp.Header); err != nil {
			refused.hint = ""
			return nil, fmt.Errorf("%w\n     %w", refused, err)
		}
	}
}

func (r *Registry) grant(scope string) string {
	r.granting.Lock()
	defer r.granting.Unlock()
	return r.granted[scope]
}

// send makes a request and follows redirects. When nothing moves for a while, it is cancelled.
func (r *Registry) send(ctx context.Context, base *url.URL, q request, auth string) (*http.Response, error) {
	target, err := base.Parse(q.target)
	if err != nil {
		return nil, fmt.Errorf("%s sends us to %q, which is not a URL", r.Host, printable(q.target))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{ctx: ctx, cancel: cancel, limit: r.stall}
	w.timer = time.AfterFunc(r.stall, func() {
		cancel(fmt.Errorf("nothing has moved for %v: %w", r.stall, os.ErrDeadlineExceeded))
	})
	// A key of no value is not sent. It lets net/http repeat a POST without a body when a
	// connection that was kept has just ended.
	req := &http.Request{Method: q.method, URL: target, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"User-Agent": {"box"}, "Idempotency-Key": nil}}
	maps.Copy(req.Header, q.header)
	if q.size > 0 {
		req.ContentLength = q.size
		req.Body = io.NopCloser(&leaving{w, io.NewSectionReader(q.body, 0, q.size), q.progress, 0})
	}
	route := &hop{registry: r, why: q.why, origin: base, plain: base.Scheme == "http", auth: auth}
	if q.realm {
		route.origin = target
	}
	client := http.Client{Transport: route, CheckRedirect: followRedirect}
	resp, err := client.Do(req.WithContext(ctx))
	w.timer.Stop()
	if err != nil {
		defer cancel(nil)
		return nil, r.failed(q.method, target, cmp.Or(context.Cause(ctx), err))
	}
	resp.Body = &arriving{resp.Body, w}
	return resp, nil
}

// hop makes one request of those that redirects lead to. Credentials go to their server only.
type hop struct {
	registry *Registry
	why      string
	origin   *url.URL
	plain    bool // the registry itself speaks plain HTTP
	auth     string
}

func (h *hop) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	if h.auth != "" && req.URL.Scheme == h.origin.Scheme && req.URL.Host == h.origin.Host {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", h.auth)
	}
	if req.URL.Scheme == "https" || h.registry.insecure || h.plain && isLoopback(req.URL) {
		resp, err = h.registry.transport.RoundTrip(req)
	} else {
		err = errors.New("what is sent there could be read on the way: it is not HTTPS")
	}
	if tell := h.registry.Tell; tell != nil {
		e := Exchange{Method: req.Method, URL: publicURL(req.URL), Err: err, Why: h.why}
		if err == nil {
			e.Status = resp.StatusCode
		}
		tell(e)
	}
	return resp, err
}

// followRedirect lets a redirect of what only reads be followed.
func followRedirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer") // the next server need not know where we were
	switch {
	case via[0].Method != "GET" && via[0].Method != "HEAD":
		return http.ErrUseLastResponse
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects in a row lead nowhere", maxRedirects)
	}
	return nil
}

// publicURL is a URL without what could be a secret in it, such as the signature of a redirect.
func publicURL(u *url.URL) string {
	known := []string{"service", "scope", "n", "last", "q", "mount", "from", "digest"}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	var query []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" && !slices.Contains(known, name) {
			pair = name + "=…"
		}
		query = append(query, pair)
	}
	shown.RawQuery = strings.Join(query, "&")
	return printable(shown.String())
}

// printable makes a short text of what a server says, which could move the cursor of a terminal.
func printable(text string) string {
	runes := []rune(strings.ToValidUTF8(strings.TrimSpace(text), "?"))
	for i, c := range runes {
		if !unicode.IsPrint(c) {
			runes[i] = ' '
		}
	}
	if len(runes) > 500 {
		runes = append(runes[:500], '…')
	}
	return string(runes)
}

// watch is a timer that starts again whenever something moves, and otherwise cancels.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  time.Duration
	timer  *time.Timer
}

// leaving is the body of a request. From its last byte on, the answer is waited for.
type leaving struct {
	*watch
	source   io.Reader
	progress func(int64)
	sent     int64
}

func (l *leaving) Read(p []byte) (int, error) {
	l.timer.Reset(l.limit)
	n, err := l.source.Read(p)
	if l.sent += int64(n); l.progress != nil {
		l.progress(l.sent)
	}
	return n, err
}

// arriving is the body of an answer. The time until somebody asks for more does not count.
type arriving struct {
	io.ReadCloser
	*watch
}

func (a *arriving) Read(p []byte) (int, error) {
	a.timer.Reset(a.limit)
	n, err := a.ReadCloser.Read(p)
	a.timer.Stop()
	if err != nil && err != io.EOF {
		err = cmp.Or(context.Cause(a.ctx), err)
	}
	return n, err
}

func (a *arriving) Close() error {
	a.cancel(nil)
	return a.ReadCloser.Close()
}

// refusal is an answer that does not help.
type refusal struct {
	status int
	after  time.Duration // what Retry-After asks for
	text   string
	hint   string
}

func (e *refusal) Error() string { return e.text + e.hint }

// refused reads what the server has to say about it, and ends the answer.
func (r *Registry) refused(method string, resp *http.Response) *refusal {
	e := &refusal{status: resp.StatusCode, after: retryAfter(resp.Header.Get("Retry-After"))}
	e.text = fmt.Sprintf("%s %s: %d %s", method, publicURL(resp.Request.URL), e.status, http.StatusText(e.status))
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		e.text += ", and the rest does not come: " + err.Error()
	}
	var said struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(data, &said) == nil {
		for _, one := range said.Errors {
			e.text += ": " + printable(cmp.Or(one.Message, one.Code))
		}
	}
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.hint = "\n     there is no such repository, or it is not for everybody: is the name right, and the password? box login " + r.Host
	case http.StatusNotFound:
		e.hint = "\n     there is no such name or tag, or the server is no registry"
	case http.StatusTooManyRequests:
		e.hint = "\n     so many requests are too many for it: wait, or box login " + r.Host
	}
	return e
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(text string) time.Duration {
	if date, err := http.ParseTime(text); err == nil {
		return time.Until(date)
	}
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// failed says where there was no answer at all, and what to do where that is known.
func (r *Registry) failed(method string, target *url.URL, err error) error {
	if at := (*url.Error)(nil); errors.As(err, &at) {
		if last, parsed := url.Parse(at.URL); parsed == nil {
			target = last
		}
		err = at.Err
	}
	hint := ""
	unknown := x509.UnknownAuthorityError{}
	switch {
	case errors.As(err, &unknown):
		hint = "\n     put the certificate of its authority into /etc/docker/certs.d/" + target.Host + "/ca.crt"
	case errors.Is(err, http.ErrSchemeMismatch):
		hint = "\n     it speaks plain HTTP, which others on the way can read and change: --insecure allows it"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "\n     nothing listens there"
	}
	return fmt.Errorf("%s %s: %w%s", method, publicURL(target), err, hint)
}

// transient is true for what may go better the next time.
func transient(err error) bool {
	if answer := (*refusal)(nil); errors.As(err, &answer) {
		return slices.Contains([]int{408, 429, 500, 502, 503, 504}, answer.status)
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// await waits before the next attempt after n that failed in a row, or returns the error when
// there shall be none.
func (r *Registry) await(ctx context.Context, n int, err error) error {
	if ctx.Err() != nil || !transient(err) {
		return err
	}
	if n >= maxAttempts {
		return fmt.Errorf("%w\n     (%d attempts failed)", err, n)
	}
	pause := r.pause << (n - 1)
	pause = pause/2 + rand.N(pause) // so that those who failed together do not come again together
	if answer := (*refusal)(nil); errors.As(err, &answer) && answer.after > 0 {
		if pause = answer.after; pause > maxPause {
			return fmt.Errorf("%w\n     it asks to come again in %v", err, pause.Round(time.Second))
		}
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retry makes attempts until one succeeds or another would be of no use.
func (r *Registry) retry(ctx context.Context, attempt func() error) error {
	for n := 1; ; n++ {
		err := attempt()
		if err == nil {
			return nil
		}
		if err = r.await(ctx, n, err); err != nil {
			return err
		}
	}
}

// fetch makes a request with a small answer.
func (r *Registry) fetch(ctx context.Context, q request) (header http.Header, data []byte, err error) {
	err = r.retry(ctx, func() error {
		resp, err := r.do(ctx, q, http.StatusOK)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		header = resp.Header
		if data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1)); err != nil {
			return r.failed(q.method, resp.Request.URL, err)
		}
		if len(data) > maxAnswer {
			return fmt.Errorf("%s %s: the answer is larger than %d MiB, which is the most that a description may be", q.method, publicURL(resp.Request.URL), maxAnswer>>20)
		}
		return nil
	})
	return header, data, err
}
