package site

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Server serves the site of a tree to this machine alone, and follows the tree: when a file
// has changed, the next page shows it.
type Server struct {
	Root  string
	Calls Calls
	Live  http.Handler // of the live page; nil when there is none
	Play  http.Handler // of the terminals beside the lessons; nil when there are none
	Token string       // first part of every path, which other users of the machine cannot know

	mu    sync.Mutex
	site  *Site
	state uint64 // of the tree that site was read from
}

// NewToken returns 128 random bits, as letters and digits.
func NewToken() string { return strings.ToLower(rand.Text()) }

// Listen opens a port of the loopback interface; 0 is any free one.
func Listen(port int) (net.Listener, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("listen on the loopback port %d: %w; --port names another", port, err)
	}
	return l, nil
}

// Serve answers until the context ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.ServeHandler(ctx, l, s.Handler())
}

// ServeHandler does the same with a handler around the site's own.
func (s *Server) ServeHandler(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // its error is that of closing the listener, which Serve has had
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// policy lets a page load what comes from here, and nothing else: no script or style that
// is written in a page, no frame around it, no form.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'"

// policy of this server: xterm.js writes its colours into a style element of the page.
func (s *Server) policy() string {
	if s.Play != nil {
		return strings.Replace(policy, "style-src 'self'", "style-src 'self' 'unsafe-inline'", 1)
	}
	return policy
}

// drawing is the policy of a picture: an SVG has its styles inside.
const drawing = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

// Handler checks who asks for what, and then answers. Names of other hosts are refused, so
// that no page out there can have its name resolved to this address and read along.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", s.policy()+"; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		token, rest, slash := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch {
		case !local(r.Host):
			http.Error(w, "this site answers to the name localhost only", http.StatusMisdirectedRequest)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "this site is for reading: GET and HEAD", http.StatusMethodNotAllowed)
		case subtle.ConstantTimeCompare([]byte(token), []byte(s.Token)) != 1:
			http.Error(w, "the address that was printed has a token in it; this one has not", http.StatusNotFound)
		case !slash:
			http.Redirect(w, r, "/"+s.Token+"/", http.StatusFound)
		case s.Live != nil && rest == "live": // its links are relative to what ends in a slash
			http.Redirect(w, r, "/"+s.Token+"/live/", http.StatusFound)
		case s.Live != nil && strings.HasPrefix(rest, "live/"):
			http.StripPrefix("/"+s.Token+"/live", s.Live).ServeHTTP(w, r)
		case s.Play != nil && strings.HasPrefix(rest, "play/"):
			http.StripPrefix("/"+s.Token+"/play", s.Play).ServeHTTP(w, r)
		default:
			s.file(w, r, rest)
		}
	})
}

// local reports whether a Host header names this machine's loopback. The port may be another,
// that of a tunnel.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// file answers with a page or another file of the site.
func (s *Server) file(w http.ResponseWriter, r *http.Request, name string) {
	if name == "" || strings.HasSuffix(name, "/") {
		name += "index.html"
	}
	site, err := s.current()
	if err == nil {
		var data []byte
		if data, err = site.File(r.Context(), name); err == nil && data == nil {
			http.Error(w, "there is no such page", http.StatusNotFound)
			return
		} else if err == nil {
			s.write(w, r, name, data)
			return
		}
	}
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, name string, data []byte) {
	kind := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".svg" {
		w.Header().Set("Content-Security-Policy", drawing)
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(data) // who has gone away needs no answer
	}
}

// current is the site of the tree as it is now.
func (s *Server) current() (*Site, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, err := s.fingerprint()
	if err != nil {
		return nil, err
	}
	if s.site != nil && s.state == state {
		return s.site, nil
	}
	site, err := Load(s.Root, s.Calls, s.Live != nil)
	if err != nil {
		return nil, err
	}
	site.play = s.Play != nil
	s.site, s.state = site, state
	return site, nil
}

// fingerprint is of all files that pages are made of.
func (s *Server) fingerprint() (uint64, error) {
	dirs, err := filepath.Glob(filepath.Join(s.Root, "stage[0-9][0-9]-*"))
	if err != nil {
		return 0, err
	}
	return fingerprint(append(dirs, filepath.Join(s.Root, "lessons"), filepath.Join(s.Root, "README.md"))...)
}
