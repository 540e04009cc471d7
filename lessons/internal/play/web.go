package play

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"stagebox/lessons/internal/site"
)

// Web shows a playground in a browser: the lessons' pages, with terminals beside them.
type Web struct {
	*Playground
	Site  *site.Server // whose token and checks hold for all of it
	Xterm string       // the directory with xterm.js; "" when Lacks says why there is none
	Lacks error
}

// cookie holds the token a second time: a page of another origin cannot send it along
// (SameSite=Strict), even when it has found out the address.
const cookie = "stagebox-play"

// Handler answers a browser. The site checks the address that is asked for, the Host and the
// token; here the cookie is set, and what acts asks for it and for the Origin.
func (w *Web) Handler() http.Handler {
	w.Site.Play = http.HandlerFunc(w.play)
	inner := w.Site.Handler()
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if subtle.ConstantTimeCompare([]byte(first), []byte(w.Site.Token)) == 1 {
			http.SetCookie(out, &http.Cookie{Name: cookie, Value: w.Site.Token, Path: "/" + w.Site.Token + "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		}
		inner.ServeHTTP(out, r)
	})
}

// play answers for what is below play/.
func (w *Web) play(out http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	terminal, isTerminal := strings.CutPrefix(name, "terminal/")
	switch {
	case !isTerminal && name != "events":
		w.file(out, r, name)
	case !w.allowed(r):
		http.Error(out, "refused: the request does not come from a page of this playground", http.StatusForbidden)
	case isTerminal:
		w.serveTerminal(out, r, terminal)
	default:
		w.serveEvents(out, r)
	}
}

// allowed reports whether a request comes from a page of this playground.
func (w *Web) allowed(r *http.Request) bool {
	c, err := r.Cookie(cookie)
	return err == nil && subtle.ConstantTimeCompare([]byte(c.Value), []byte(w.Site.Token)) == 1 &&
		r.Header.Get("Origin") == "http://"+r.Host
}

// file answers with a file of the page, or of xterm.js.
func (w *Web) file(out http.ResponseWriter, r *http.Request, name string) {
	var data []byte
	var err error
	switch source, ok := terminalFiles[name]; {
	case ok && w.Xterm == "":
		err = w.Lacks
	case ok:
		data, err = os.ReadFile(filepath.Join(w.Xterm, source))
	case strings.HasPrefix(path.Ext(name), ".json"):
		err = os.ErrNotExist
	default:
		data, err = page.ReadFile(path.Join("page", path.Clean("/"+name)))
	}
	if err != nil {
		http.Error(out, fmt.Sprint("there is no such file: ", err), http.StatusNotFound)
		return
	}
	kind := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".mjs" {
		kind = "text/javascript"
	}
	out.Header().Set("Content-Type", kind)
	_, _ = out.Write(data) // who has gone away needs no answer
}

// lacks is why the page has no terminals, for its state.
func (w *Web) lacks() string {
	if w.Lacks == nil {
		return ""
	}
	return w.Lacks.Error()
}

// errBusy is what a second exercise gets while one is being tried.
var errBusy = errors.New("another exercise is being checked: wait for it, or reset the machine")
