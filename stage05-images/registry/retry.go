// What went wrong, whether trying again can help, and when.

package registry

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"

	"stagebox/stage04-unionfs/fault"
)

// statusError is an answer with a status that was not wanted.
type statusError struct {
	status int
	after  time.Duration // what Retry-After asks for
	text   string
	hint   string
}

func (e *statusError) Error() string { return e.text + e.hint }

// Kind: a registry that denies a name may as well not have it, and does not say which.
func (e *statusError) Kind() fault.Kind {
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return fault.NotFound
	}
	return fault.Other
}

// statusError reads the server's reasons (spec.md, "Error Codes"), and closes the answer.
func (c *Client) statusError(method string, resp *http.Response) *statusError {
	e := &statusError{
		status: resp.StatusCode, after: retryAfter(resp.Header.Get("Retry-After")),
		hint: c.hint(resp.StatusCode),
	}
	e.text = fmt.Sprintf("%s %s: %d %s",
		method, publicURL(resp.Request.URL), e.status, http.StatusText(e.status))
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		e.text += ", and the rest does not come: " + err.Error()
	}
	var said struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(data, &said) == nil {
		for _, one := range said.Errors {
			e.text += ": " + Printable(cmp.Or(one.Message, one.Code))
		}
	}
	return e
}

// hint says what a user can do about a status.
func (c *Client) hint(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "\n     there is no such repository, or it is not for everybody: " +
			"is the name right, and the password? box login " + c.Host
	case http.StatusNotFound:
		return "\n     there is no such name or tag, or the server is no registry"
	case http.StatusTooManyRequests:
		return "\n     so many requests are too many for it: wait, or box login " + c.Host
	}
	return ""
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

// failed describes a request that got no answer, and what to do about it where that is known.
func (c *Client) failed(method string, target *url.URL, err error) error {
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
		hint = "\n     put the certificate of its authority into /etc/docker/certs.d/" +
			target.Host + "/ca.crt"
	case errors.Is(err, http.ErrSchemeMismatch):
		hint = "\n     it speaks plain HTTP, which others on the way can read and change: " +
			"--insecure allows it"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "\n     nothing listens there"
	case isUnknownHost(err):
		hint = "\n     no name server knows " + target.Hostname() + ": is it spelt right, and is there a network?"
	}
	return fmt.Errorf("%s %s: %w%s", method, publicURL(target), err, hint)
}

// isUnknownHost reports whether the name of a host has no address, as far as could be found out.
func isUnknownHost(err error) bool {
	var lookup *net.DNSError
	return errors.As(err, &lookup) && lookup.IsNotFound
}

// isTransient reports whether another attempt may succeed.
func isTransient(err error) bool {
	if refused := (*statusError)(nil); errors.As(err, &refused) {
		return slices.Contains([]int{408, 429, 500, 502, 503, 504}, refused.status)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return true
	}
	return slices.ContainsFunc([]error{
		net.ErrClosed, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE,
	}, func(known error) bool { return errors.Is(err, known) })
}

// waitToRetry waits before the next attempt after n that failed in a row. It returns the error if
// there is to be no other attempt.
func (c *Client) waitToRetry(ctx context.Context, n int, err error) error {
	if ctx.Err() != nil || !isTransient(err) {
		return err
	}
	if n >= maxAttempts {
		return fmt.Errorf("%w\n     (%d attempts failed)", err, n)
	}
	pause := c.backoff << (n - 1)
	pause = pause/2 + rand.N(pause) // so that those who failed together do not come again together
	if refused := (*statusError)(nil); errors.As(err, &refused) && refused.after > 0 {
		if pause = refused.after; pause > maxPause {
			return fmt.Errorf("%w\n     it asks to retry after %v", err, pause.Round(time.Second))
		}
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retry makes attempts until one succeeds or fails for good.
func (c *Client) retry(ctx context.Context, attempt func() error) error {
	for n := 1; ; n++ {
		err := attempt()
		if err == nil {
			return nil
		}
		if err = c.waitToRetry(ctx, n, err); err != nil {
			return err
		}
	}
}
