package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// idle is a daemon with an empty store, whose jobs fail.
func idle(t testing.TB) *daemon {
	program = "/bin/false"
	t.Cleanup(func() { program = "/proc/self/exe" })
	s := Store{Root: filepath.Join(t.TempDir(), "store")}
	require.NoError(t, s.openImages())
	w, err := s.watch(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.inotify.Close()) })
	return &daemon{Store: s, watch: w, pending: map[string][]*clientConn{}, execs: map[string]*execInstance{}}
}

// TestRoutes: what is not served is refused with 501 and a sentence, and versions with 400.
func TestRoutes(t *testing.T) {
	d := idle(t)
	for request, want := range map[string]string{
		"GET /_ping":                     "200 OK",
		"GET /v1.47/_ping":               "200 OK",
		"GET /v1.24/version":             `200 "MinAPIVersion":"1.24"`,
		"GET /v1.23/_ping":               "400 client version 1.23 is too old",
		"GET /v1.48/_ping":               "400 client version 1.48 is too new",
		"POST /v1.41/swarm/init":         "501 swarm is not supported",
		"POST /v1.41/plugins/pull":       "501 box has no plugins",
		"POST /session":                  "501 box has no BuildKit: set DOCKER_BUILDKIT=0",
		"PATCH /containers/x/json":       "405 method not allowed",
		"GET /nonsense":                  "404 page not found",
		"GET /exec/x/json":               "404 No such exec instance: x",
		"GET /containers/x/json":         "404 No such container",
		"GET /images/a/b:c/json":         "404 No such image: a/b:c",
		"GET /volumes/none":              "404 No such volume: none",
		"GET /networks/none":             `200 "Driver":"null"`,
		"POST /containers/create":        "400 no image is named",
		"GET /events?until=x":            "400 invalid time",
		"POST /containers/x/wait":        "404 No such container",
		"POST /networks/x/connect":       "404 network x not found",
		"GET /containers/json?filters=x": "400 filters",
	} {
		status, text := answerOf(d, strings.Replace(request, " ", " http://box", 1), "")
		wantStatus, words, _ := strings.Cut(want, " ")
		require.Equal(t, wantStatus, status, "%s: %s", request, text)
		require.Contains(t, text, words, request)
	}
}

// answerOf is the status and the body of the answer to METHOD URL.
func answerOf(d *daemon, request, body string) (status, text string) {
	method, target, _ := strings.Cut(request, " ")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	answer := httptest.NewRecorder()
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return "", ""
	}
	d.ServeHTTP(answer, r)
	return strings.Fields(answer.Result().Status)[0], answer.Body.String()
}

// FuzzRouter: whatever is asked, nothing panics, and each refusal has a sentence.
func FuzzRouter(f *testing.F) {
	for _, r := range routes {
		f.Add(max(r.method, "GET"), strings.ReplaceAll(r.path, "NAME", "x")+"?all=1&filters={}", `{"Image":"tiny"}`)
	}
	f.Add("POST", "/v1.47/containers/create?name=/x", `{"Image":"tiny","HostConfig":{"Binds":["a:/b"],"PortBindings":{"80/tcp":[{}]}}}`)
	d := idle(f)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		if !strings.HasPrefix(target, "/") {
			return
		}
		status, text := answerOf(d, method+" http://box"+target, body)
		if status < "400" || method == "HEAD" {
			return
		}
		var problem struct{ Message string }
		require.NoError(t, json.Unmarshal([]byte(text), &problem), text)
		require.NotEmpty(t, problem.Message)
	})
}
