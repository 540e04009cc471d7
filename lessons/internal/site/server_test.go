package site

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ask sends a request to a server's handler.
func ask(h http.Handler, method, host, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://"+host+path, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestServerAnswersOnlyWhoMayAsk(t *testing.T) {
	s := &Server{Root: tree(t), Calls: listed, Token: NewToken()}
	h, index := s.Handler(), "/"+s.Token+"/"
	for _, c := range []struct {
		method, host, path string
		status             int
	}{
		{"GET", "127.0.0.1:1234", index, 200},
		{"HEAD", "localhost:99", index, 200},
		{"GET", "[::1]:1234", index, 200},
		{"GET", "127.0.0.1", index + "01-a.html", 200},
		{"GET", "evil.example:1234", index, 421},
		{"GET", "localhost.evil.example", index, 421},
		{"GET", "127.0.0.1.evil.example", index, 421},
		{"GET", "192.0.2.1:80", index, 421},
		{"GET", "localhost", "/", 404},
		{"GET", "localhost", "/" + strings.Repeat("a", len(s.Token)) + "/", 404},
		{"GET", "localhost", "/" + s.Token, 302},
		{"POST", "localhost", index, 405},
		{"DELETE", "localhost", index + "01-a.html", 405},
		{"GET", "localhost", index + "no-such.html", 404},
		{"GET", "localhost", index + "../../../../etc/passwd", 404},
		{"GET", "localhost", index + "live/", 404},
	} {
		w := ask(h, c.method, c.host, c.path)
		require.Equal(t, c.status, w.Code, "%s %s%s: %s", c.method, c.host, c.path, w.Body)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'")
		require.NotContains(t, w.Header().Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
		require.NotContains(t, w.Header().Get("Location"), "//")
		if c.method == "HEAD" {
			require.Empty(t, w.Body.String())
		}
	}
	require.NotEqual(t, NewToken(), NewToken())
	require.GreaterOrEqual(t, len(NewToken()), 26)
}

func TestServerFollowsTheTree(t *testing.T) {
	root := tree(t)
	s := &Server{Root: root, Calls: listed, Token: "secret"}
	h := s.Handler()
	require.NotContains(t, ask(h, "GET", "localhost", "/secret/01-a.html").Body.String(), "news")
	put(t, root, "lessons/01-a.md", "# 1. A\n\nThere is news.\n")
	require.Contains(t, ask(h, "GET", "localhost", "/secret/01-a.html").Body.String(), "There is news.")
	put(t, root, "stage02-b/main.go", "package main\n\nfunc broken( {\n")
	require.Contains(t, ask(h, "GET", "localhost", "/secret/stage02-b.html").Body.String(), "broken", "what does not compile is shown all the same")
}

func TestServerMountsTheLivePage(t *testing.T) {
	live := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "live at "+r.URL.Path) })
	h := (&Server{Root: tree(t), Calls: listed, Live: live, Token: "secret"}).Handler()
	require.Equal(t, "live at /events", ask(h, "GET", "localhost", "/secret/live/events").Body.String())
	require.Contains(t, ask(h, "GET", "localhost", "/secret/").Body.String(), `<a href="live/">Live</a>`)
	require.Equal(t, 421, ask(h, "GET", "evil.example", "/secret/live/").Code)
	require.Equal(t, "/secret/live/", ask(h, "GET", "localhost", "/secret/live").Header().Get("Location"))
}

func TestPictureHasItsOwnPolicy(t *testing.T) {
	h := (&Server{Root: tree(t), Calls: listed, Token: "secret"}).Handler()
	w := ask(h, "GET", "localhost", "/secret/files/lessons/b.svg")
	require.Equal(t, "image/svg+xml", w.Header().Get("Content-Type"))
	require.Equal(t, drawing, w.Header().Get("Content-Security-Policy"))
}

func TestServeListensOnLoopbackUntilToldToEnd(t *testing.T) {
	l, err := Listen(0)
	require.NoError(t, err)
	require.True(t, l.Addr().(*net.TCPAddr).IP.IsLoopback())
	_, err = Listen(l.Addr().(*net.TCPAddr).Port)
	require.ErrorContains(t, err, "--port names another")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- (&Server{Root: tree(t), Calls: listed, Token: "secret"}).Serve(ctx, l) }()
	answer, err := http.Get("http://" + l.Addr().String() + "/secret/assets/site.css")
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Contains(t, string(text), "color-scheme")
	stop()
	require.NoError(t, <-ended)
}
