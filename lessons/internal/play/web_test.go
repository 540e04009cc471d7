package play

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/site"
	"stagebox/lessons/internal/vm"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// onHost is a playground whose shells are on the host, and its web server.
func onHost(t *testing.T) (*Web, *httptest.Server) {
	w := &Web{Playground: New(t.Context(), nil, 1, vm.Options{}), Site: &site.Server{Root: "../../..", Token: site.NewToken()}}
	server := httptest.NewServer(w.Handler())
	t.Cleanup(server.Close)
	return w, server
}

// dial opens a WebSocket below play/, and returns the status of the answer.
func dial(t *testing.T, address, name, origin, token string) (*websocket.Conn, int) {
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	if token != "" {
		header.Set("Cookie", cookie+"="+token)
	}
	conn, answer, err := websocket.Dial(t.Context(), address+"/play/"+name, &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		t.Cleanup(func() { conn.CloseNow() })
	}
	require.NotNil(t, answer, "%v", err)
	return conn, answer.StatusCode
}

func TestWhoMayType(t *testing.T) {
	t.Parallel()
	w, server := onHost(t)
	_, other := onHost(t)
	token, base := w.Site.Token, server.URL
	for _, c := range []struct {
		name, address, origin, cookie string
		want                          int
	}{
		{"this page", base + "/" + token, base, token, http.StatusSwitchingProtocols},
		{"without the cookie", base + "/" + token, base, "", http.StatusForbidden},
		{"another's cookie", base + "/" + token, base, site.NewToken(), http.StatusForbidden},
		{"no origin", base + "/" + token, "", token, http.StatusForbidden},
		{"another origin", base + "/" + token, "http://127.0.0.1:1", token, http.StatusForbidden},
		{"the same origin by another scheme", base + "/" + token, strings.Replace(base, "http", "https", 1), token, http.StatusForbidden},
		{"another token in the address", base + "/" + site.NewToken(), base, token, http.StatusNotFound},
		{"another play", other.URL + "/" + token, other.URL, token, http.StatusNotFound},
	} {
		for _, name := range []string{"terminal/1", "events"} {
			_, status := dial(t, c.address, name, c.origin, c.cookie)
			require.Equal(t, c.want, status, "%s, %s", c.name, name)
		}
	}
	request, err := http.NewRequest(http.MethodGet, base+"/"+token+"/play/terminal/1", nil)
	require.NoError(t, err)
	request.Host = "stagebox.example"
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, http.StatusMisdirectedRequest, answer.StatusCode, "another host's name, as after DNS rebinding")
}

// Only the loopback interface has the port that play listens on.
func TestOtherAddressesAreRefused(t *testing.T) {
	l, err := site.Listen(0)
	require.NoError(t, err)
	defer l.Close()
	require.True(t, strings.HasPrefix(l.Addr().String(), "127.0.0.1:"), l.Addr())
}

func TestCookieIsForThisPlayAlone(t *testing.T) {
	t.Parallel()
	w, server := onHost(t)
	answer, err := http.Get(server.URL + "/" + w.Site.Token + "/play/play.css")
	require.NoError(t, err)
	answer.Body.Close()
	c := answer.Cookies()[0]
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	require.True(t, c.HttpOnly)
	require.Equal(t, "/"+w.Site.Token+"/", c.Path)
	answer, err = http.Get(server.URL + "/x/")
	require.NoError(t, err)
	answer.Body.Close()
	require.Empty(t, answer.Cookies(), "who does not know the token does not get it")
}

// A terminal that is looked at again shows what it has shown, and its shell is the same.
func TestScreenOutlivesTheBrowser(t *testing.T) {
	t.Parallel()
	w, server := onHost(t)
	conn, _ := dial(t, server.URL+"/"+w.Site.Token, "terminal/1", server.URL, w.Site.Token)
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"rows":33,"cols":77}`)))
	require.NoError(t, conn.Write(t.Context(), websocket.MessageBinary, []byte("kept=$((40+2)); echo is $kept; stty size\n")))
	read(t, conn, "is 42", "33 77")
	require.NoError(t, conn.CloseNow())
	conn, _ = dial(t, server.URL+"/"+w.Site.Token, "terminal/1", server.URL, w.Site.Token)
	read(t, conn, "is 42", "live")
	require.NoError(t, conn.Write(t.Context(), websocket.MessageBinary, []byte("echo still $((kept+1))\n")))
	read(t, conn, "still 43")
}

// read reads until all words were seen, in their order.
func read(t *testing.T, conn *websocket.Conn, words ...string) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	seen := ""
	for _, word := range words {
		for !strings.Contains(seen, word) {
			_, data, err := conn.Read(ctx)
			require.NoError(t, err, seen)
			seen += string(data)
		}
		_, seen, _ = strings.Cut(seen, word)
	}
}

// What a shell prints last is seen, though the terminal has ended when it is sent.
func TestLastOutputIsSent(t *testing.T) {
	t.Parallel()
	terminal := newTerminal("x", nil)
	viewer, _ := terminal.Attach()
	for i := range 20 {
		terminal.show(fmt.Appendln(nil, "line", i))
	}
	close(terminal.ended)
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(out, r, nil)
		if err == nil {
			forward(r.Context(), conn, viewer, terminal)
		}
	}))
	defer server.Close()
	conn, _, err := websocket.Dial(t.Context(), server.URL, nil)
	require.NoError(t, err)
	read(t, conn, "line 0", "line 19")
}

func TestHistoryKeepsTheEndAndTheScreen(t *testing.T) {
	t.Parallel()
	var h history
	h.add([]byte("\x1b[?1049h"))
	line := []byte("0123456789\r\n")
	for range 4 * historySize / len(line) {
		h.add(line)
	}
	h.add([]byte("last"))
	require.LessOrEqual(t, len(h.text), 2*historySize)
	require.True(t, bytes.HasPrefix(h.text, append([]byte("\x1b[?1049h"), line...)))
	require.True(t, bytes.HasSuffix(h.text, []byte("last")))
}

func TestSocketsAreTheUsersOwn(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir, err := socketDir()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "1"), nil, 0o600)) // what a dead play has left
	pids, err := Running()
	require.NoError(t, err)
	require.Empty(t, pids)
	ground := New(t.Context(), nil, 1, vm.Options{})
	withdraw, err := ground.Offer()
	require.NoError(t, err)
	pids, err = Running()
	require.NoError(t, err)
	require.Equal(t, []int{os.Getpid()}, pids)
	conn, err := Dial(t.Context(), os.Getpid())
	require.NoError(t, err)
	require.NoError(t, conn.Write(t.Context(), websocket.MessageBinary, []byte("echo joined $((1+1)); exit\n")))
	read(t, conn, "joined 2")
	withdraw()
	require.NoDirExists(t, dir)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chmod(dir, 0o755))
	_, err = socketDir()
	require.ErrorContains(t, err, "only you can enter")
}
