// Requests and answers in a form for people, without secrets (--explain).

package registry

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// Exchange is one request and its answer, for people to read. Whatever could be a secret is left
// out of it.
type Exchange struct {
	Method, URL string
	Status      int    // 0 if there was no answer
	Err         error  // why there was none
	Why         string // the purpose of the request
}

// String is one line, such as "GET https://…/v2/_catalog: 200 OK (which repositories are there?)".
func (e Exchange) String() string {
	end := fmt.Sprint(e.Err)
	if e.Err == nil {
		end = strings.TrimSpace(fmt.Sprint(e.Status, " ", http.StatusText(e.Status)))
	}
	return fmt.Sprintf("%s %s: %s (%s)", e.Method, e.URL, end, e.Why)
}

// publicURL is a URL without what could be a secret in it, such as the signature of a redirect.
func publicURL(u *url.URL) string {
	known := []string{"service", "scope", "n", "last", "q", "mount", "from", "digest"}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	var query []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, value, ok := strings.Cut(pair, "=")
		if ok && value != "" && !slices.Contains(known, name) {
			pair = name + "=…"
		}
		query = append(query, pair)
	}
	shown.RawQuery = strings.Join(query, "&")
	return Printable(shown.String())
}

// Printable makes a text that a stranger sent fit for a terminal: control characters, which could
// move its cursor, become spaces, and what follows the first 500 characters is cut off.
func Printable(text string) string {
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
