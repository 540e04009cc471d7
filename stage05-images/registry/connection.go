// The connections to a registry. Any of them may stall or break, and any server may be busy,
// redirect, or send forever, so every wait, read, redirect and retry has a limit. TLS is required,
// except on this host. Read Client.do first.

package registry

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// MaxDocument is the largest manifest, configuration or other answer that is not a blob, in bytes.
// The specification recommends it for manifests.
const MaxDocument = 4 << 20

const (
	maxRedirects = 10              // in a row
	maxAttempts  = 5               // that fail in a row
	maxPause     = 2 * time.Minute // that a registry may ask for between two attempts
)

// Client is a client of one registry. Several goroutines may use it at once.
type Client struct {
	Host  string         // as in names of images: docker.io, localhost:5000
	Trace func(Exchange) // if not nil, is called for each request, by several goroutines at once
	Warn  func(error)    // if not nil, is called for an error that does not end a request

	insecure    bool
	idleTimeout time.Duration // how long a connection may transfer nothing
	backoff     time.Duration // before the second attempt; it doubles
	transport   *http.Transport

	originMu sync.Mutex
	origin   *url.URL // scheme, host and port; nil until it is known
	authMu   sync.Mutex
	auth     map[string]string // the Authorization header for a scope
	login    credential        // if set, is used in place of config.json's
}

// New returns a client that has made no connection yet. The registry must speak HTTPS, with a
// certificate of the system's authorities or of those in Docker's certs.d/HOST, in /etc/docker or
// the user's configuration directory. One on this host may speak plain HTTP. With insecure, any
// registry may, and its certificate is not checked.
func New(host string, insecure bool) (*Client, error) {
	config, err := certificates(host)
	if err != nil {
		return nil, err
	}
	config.InsecureSkipVerify = insecure
	return &Client{
		Host: host, insecure: insecure, idleTimeout: time.Minute, backoff: time.Second,
		auth: map[string]string{},
		transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        config,
			DisableCompression:     true, // digests are of the bytes as they are sent
			MaxIdleConnsPerHost:    16,
			MaxResponseHeaderBytes: 64 << 10,
			ExpectContinueTimeout:  time.Second,
			ReadBufferSize:         64 << 10,
			WriteBufferSize:        64 << 10,
		},
	}, nil
}

// base is the URL of the registry. If it may speak plain HTTP, HTTPS is tried once to find out.
func (c *Client) base(ctx context.Context) (*url.URL, error) {
	c.originMu.Lock()
	defer c.originMu.Unlock()
	if c.origin != nil {
		return c.origin, nil
	}
	base := &url.URL{Scheme: "https", Host: c.Host}
	if c.Host == defaultRegistry {
		base.Host = defaultAPI
	}
	if c.insecure || isLoopback(base) {
		ctx, cancel := context.WithTimeout(ctx, c.idleTimeout)
		defer cancel()
		speaks := c.speaksTLS(ctx, base)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", base, context.Cause(ctx))
		}
		if !speaks {
			base.Scheme = "http"
		}
	}
	c.origin = base
	return base, nil
}

// speaksTLS reports whether a request over HTTPS works, or fails for a certificate: the server's,
// or one that the server wants to see. Then plain HTTP is not tried: it would be no safer.
func (c *Client) speaksTLS(ctx context.Context, base *url.URL) bool {
	req := &http.Request{Method: "GET", URL: base.JoinPath("/v2/"), Header: http.Header{}}
	probe := &originTransport{client: c, why: "does it speak TLS?", origin: base}
	resp, err := probe.RoundTrip(req.WithContext(ctx))
	if err == nil {
		resp.Body.Close()
	}
	untrusted, alert := (*tls.CertificateVerificationError)(nil), (*net.OpError)(nil)
	return err == nil || errors.As(err, &untrusted) ||
		errors.As(err, &alert) && strings.HasSuffix(alert.Op, " error") // "remote error", "local error"
}

func isLoopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// request is one of the five, or one like them.
type request struct {
	method   string
	target   string // relative to the registry, or a whole URL
	scope    string // what a token has to allow
	why      string
	header   http.Header // its names in canonical form
	body     io.ReaderAt
	size     int64
	progress func(int64)
	toRealm  bool   // it goes to another server, such as the one that issues tokens,
	auth     string // with this Authorization header
}

func (q *request) setBody(data []byte) { q.body, q.size = bytes.NewReader(data), int64(len(data)) }

// do makes a request, and makes it again if the registry wants to know who asks, or if a token has
// expired. The answer has one of the wanted statuses.
func (c *Client) do(ctx context.Context, q request, want ...int) (*http.Response, error) {
	base, err := c.base(ctx)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		auth := q.auth
		if !q.toRealm {
			auth = c.authorization(q.scope)
		}
		resp, err := c.send(ctx, base, q, auth)
		if err != nil || slices.Contains(want, resp.StatusCode) {
			return resp, err
		}
		refused := c.statusError(q.method, resp)
		own := resp.Request.URL.Scheme == base.Scheme && resp.Request.URL.Host == base.Host
		if resp.StatusCode != http.StatusUnauthorized || !first || q.toRealm {
			return nil, refused
		}
		if own {
			err = c.authorize(ctx, q.scope, auth, resp.Header)
		} else {
			err = c.stranger(ctx, &q, resp)
		}
		if err != nil {
			refused.hint = ""
			return nil, fmt.Errorf("%w\n     %w", refused, err)
		}
	}
}

// stranger answers a 401 of another server, which a redirect has led to. It must not learn who we
// are, but it may want a token of anybody.
func (c *Client) stranger(ctx context.Context, q *request, resp *http.Response) error {
	for _, offer := range parseChallenges(strings.Join(resp.Header.Values("Www-Authenticate"), ", ")) {
		if offer.scheme == "bearer" {
			token, err := c.token(ctx, offer, offer.params["scope"], credential{})
			q.target, q.toRealm, q.auth = resp.Request.URL.String(), true, token
			return err
		}
	}
	return fmt.Errorf("credentials for %s are not sent to another server", c.Host)
}

func (c *Client) authorization(scope string) string {
	c.authMu.Lock()
	defer c.authMu.Unlock()
	return c.auth[scope]
}

// send makes a request and follows redirects. If nothing is transferred for a while, it is
// cancelled.
func (c *Client) send(
	ctx context.Context, base *url.URL, q request, auth string,
) (*http.Response, error) {
	target, err := base.Parse(q.target)
	if err != nil {
		return nil, fmt.Errorf("%s: invalid redirect to %q", c.Host, Printable(q.target))
	}
	idle := newIdleTimer(ctx, c.idleTimeout)
	route := &originTransport{
		client: c, why: q.why, origin: base, plain: base.Scheme == "http", auth: auth,
	}
	if q.toRealm {
		route.origin = target
	}
	client := http.Client{Transport: route, CheckRedirect: checkRedirect}
	resp, err := client.Do(q.http(target, idle))
	idle.timer.Stop()
	if err != nil {
		defer idle.cancel(nil)
		return nil, c.failed(q.method, target, cmp.Or(context.Cause(idle.ctx), err))
	}
	resp.Body = &responseBody{resp.Body, idle}
	return resp, nil
}

// http is the request in the form of net/http. An Idempotency-Key without a value is not sent: it
// lets net/http repeat a POST without a body if a connection that was kept has just ended.
func (q *request) http(target *url.URL, idle *idleTimer) *http.Request {
	req := &http.Request{
		Method: q.method, URL: target, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {"box"}, "Idempotency-Key": nil},
	}
	maps.Copy(req.Header, q.header)
	if q.size > 0 {
		req.ContentLength = q.size
		source := io.NewSectionReader(q.body, 0, q.size)
		req.Body = io.NopCloser(&requestBody{idle, source, q.progress, 0})
	}
	return req.WithContext(idle.ctx)
}

// originTransport makes a request and those that redirects lead to. Credentials go to the origin
// only.
type originTransport struct {
	client *Client
	why    string
	origin *url.URL
	plain  bool // the registry itself speaks plain HTTP
	auth   string
}

func (t *originTransport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	if t.auth != "" && req.URL.Scheme == t.origin.Scheme && req.URL.Host == t.origin.Host {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", t.auth)
	}
	if req.URL.Scheme == "https" || t.client.insecure || t.plain && isLoopback(req.URL) {
		resp, err = t.client.transport.RoundTrip(req)
	} else {
		err = errors.New("what is sent there could be read on the way: it is not HTTPS")
	}
	if trace := t.client.Trace; trace != nil {
		e := Exchange{Method: req.Method, URL: publicURL(req.URL), Err: err, Why: t.why}
		if err == nil {
			e.Status = resp.StatusCode
		}
		trace(e)
	}
	return resp, err
}

// checkRedirect lets redirects of requests that only read be followed.
func checkRedirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer") // the next server need not know where we were
	switch {
	case via[0].Method != "GET" && via[0].Method != "HEAD":
		return http.ErrUseLastResponse
	case len(via) > maxRedirects:
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	return nil
}

// idleTimer cancels its context if it is not reset in time, which each transfer does.
type idleTimer struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  time.Duration
	timer  *time.Timer
}

func newIdleTimer(ctx context.Context, limit time.Duration) *idleTimer {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() {
		cancel(fmt.Errorf("no data for %v: %w", limit, os.ErrDeadlineExceeded))
	})
	return &idleTimer{ctx, cancel, limit, timer}
}

// requestBody is the body of a request. After its last byte, the timer runs until the answer.
type requestBody struct {
	*idleTimer
	source   io.Reader
	progress func(int64)
	sent     int64
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.limit)
	n, err := b.source.Read(p)
	if b.sent += int64(n); b.progress != nil {
		b.progress(b.sent)
	}
	return n, err
}

// responseBody is the body of an answer. The timer is stopped between two calls of Read.
type responseBody struct {
	io.ReadCloser
	*idleTimer
}

func (b *responseBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.limit)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF {
		err = cmp.Or(context.Cause(b.ctx), err)
	}
	return n, err
}

func (b *responseBody) Close() error {
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// fetch makes a request with a small answer.
func (c *Client) fetch(
	ctx context.Context, q request,
) (header http.Header, data []byte, err error) {
	err = c.retry(ctx, func() error {
		resp, err := c.do(ctx, q, http.StatusOK)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		header = resp.Header
		if data, err = io.ReadAll(io.LimitReader(resp.Body, MaxDocument+1)); err != nil {
			return c.failed(q.method, resp.Request.URL, err)
		}
		if len(data) > MaxDocument {
			return fmt.Errorf("%s %s: the answer is larger than %d MiB, "+
				"which is the most that a description may be",
				q.method, publicURL(resp.Request.URL), MaxDocument>>20)
		}
		return nil
	})
	return header, data, err
}
