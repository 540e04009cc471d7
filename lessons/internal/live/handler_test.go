package live

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// served mounts the page of a machine below a prefix.
func served(t *testing.T, roots Roots) *httptest.Server {
	mux := http.NewServeMux()
	mux.Handle("/below/here/", http.StripPrefix("/below/here", handler(roots)))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url string) (*http.Response, string) {
	answer, err := http.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(body)
}

func TestFiles(t *testing.T) {
	at := served(t, made(t, "").roots()).URL + "/below/here/"
	answer, html := get(t, at)
	require.Contains(t, answer.Header.Get("Content-Security-Policy"), "default-src 'self'")
	require.NotRegexp(t, `<style|style=|<script>| on[a-z]+="`, html)
	links := regexp.MustCompile(`(?:href|src)="([^"#]+)"`).FindAllStringSubmatch(html, -1)
	require.NotEmpty(t, links)
	for _, link := range links {
		require.NotRegexp(t, `^/|//`, link[1])
		if !strings.HasPrefix(link[1], "../") { // the site's
			answer, _ := get(t, at+link[1])
			require.Equal(t, http.StatusOK, answer.StatusCode, link[1])
		}
	}
	answer, _ = get(t, at+"nothing")
	require.Equal(t, http.StatusNotFound, answer.StatusCode)
}

func TestOnlyReading(t *testing.T) {
	at := served(t, made(t, "").roots()).URL + "/below/here/"
	for _, path := range []string{"", "state", "events"} {
		answer, err := http.Post(at+path, "text/plain", strings.NewReader("x"))
		require.NoError(t, err)
		answer.Body.Close()
		require.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode, path)
	}
}

func TestState(t *testing.T) {
	m := made(t, "")
	m.process(10, 1, "sh", map[string]int{"pid": 20})
	answer, body := get(t, served(t, m.roots()).URL+"/below/here/state")
	require.Equal(t, "application/json", answer.Header.Get("Content-Type"))
	var state struct {
		Snapshot
		Moving moving `json:"moving"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &state))
	require.Equal(t, m.take().Boxes, state.Boxes)
	require.Equal(t, int64(3), *state.Moving.Figures[state.Boxes[0].ID].PIDs)
	require.NotRegexp(t, `"\w+s":null`, strings.NewReplacer(`"pids":null`, "").Replace(body), "lists are lists")
}

// events reads server-sent events until one of a kind holds.
func events(t *testing.T, body *bufio.Scanner, kind string, holds func(data string) bool) {
	t.Helper()
	event := ""
	for body.Scan() {
		if name, ok := strings.CutPrefix(body.Text(), "event: "); ok {
			event = name
		}
		if data, ok := strings.CutPrefix(body.Text(), "data: "); ok && event == kind && holds(data) {
			return
		}
	}
	require.Fail(t, "the events ended", "%v", body.Err())
}

func TestEvents(t *testing.T) {
	m := made(t, "")
	answer, err := http.Get(served(t, m.roots()).URL + "/below/here/events")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	any := func(string) bool { return true }
	events(t, lines, "state", func(data string) bool { return strings.Contains(data, `"boxes":[]`) })
	events(t, lines, "figures", any)
	m.process(10, 1, "sh", map[string]int{"pid": 20})
	events(t, lines, "state", func(data string) bool { return strings.Contains(data, `"command":"sh"`) })
	events(t, lines, "figures", func(data string) bool { return strings.Contains(data, `"pids":3`) })
	m.remove("proc/10")
	events(t, lines, "state", func(data string) bool { return strings.Contains(data, `"boxes":[]`) })
}

// watching is true while some watcher looks.
func watching() bool {
	buf := make([]byte, 1<<20)
	return strings.Contains(string(buf[:runtime.Stack(buf, true)]), "(*watcher).watch(")
}

func TestNobodyWatching(t *testing.T) {
	require.Eventually(t, func() bool { return !watching() }, patience, interval)
	server := served(t, made(t, "").roots())
	var listeners []*http.Response
	for range 2 {
		answer, err := http.Get(server.URL + "/below/here/events")
		require.NoError(t, err)
		defer answer.Body.Close()
		events(t, bufio.NewScanner(answer.Body), "state", func(string) bool { return true })
		listeners = append(listeners, answer)
	}
	require.Eventually(t, watching, patience, interval) // not all of a running goroutine is always seen
	listeners[0].Body.Close()
	events(t, bufio.NewScanner(listeners[1].Body), "figures", func(string) bool { return true })
	require.Eventually(t, watching, patience, interval, "one still listens")
	listeners[1].Body.Close()
	require.Eventually(t, func() bool { return !watching() }, patience, interval)
}
