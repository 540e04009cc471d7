package main

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
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
		"GET /networks/bridge":           `200 "Driver":"bridge"`, // also before a container has made it
		"DELETE /networks/host":          "403 host is a predefined network",
		"DELETE /networks/bridge":        "403 bridge is a predefined network",
		"POST /exec/x/resize?h=foo&w=1":  "400 ",
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

// TestSearch: the answer of a registry in the form of the API.
func TestSearch(t *testing.T) {
	d := idle(t)
	program = filepath.Join(t.TempDir(), "box")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n[ \"$*\" = 'search --format=json --limit=3 -- word' ] && echo '{\"Name\":\"a\",\"StarCount\":2,\"IsOfficial\":\"[OK]\"}'\n"), 0o755))
	answer := httptest.NewRecorder()
	d.ServeHTTP(answer, httptest.NewRequest("GET", "/images/search?limit=3&term=word", nil))
	require.Equal(t, 200, answer.Code, answer.Body)
	require.JSONEq(t, `[{"name":"a","description":"","star_count":2,"is_official":true,"is_automated":false}]`, answer.Body.String())
	status, _ := answerOf(d, "GET http://box/images/search", "")
	require.Equal(t, "400", status)
}

// TestTransfers: a pull and a push say what Docker says, and one that does not begin has a status.
func TestTransfers(t *testing.T) {
	d := idle(t)
	program = filepath.Join(t.TempDir(), "box")
	require.NoError(t, os.WriteFile(program, []byte(`#!/bin/sh
case "$*" in
*/bad:1) printf 'box: pull bad: 404 Not Found\n     there is no such name\n\037kind 2\n' >&2; exit 1;;
*/half:1) printf '0123: Pull complete\nbox: no space\n\037kind 3\n' >&2; exit 1;;
pull*) printf 'box: looking\n0123: Pull complete\n' >&2;;
push*) echo '0123: Pushed' >&2; echo '1: digest: sha256:45 size: 67'; echo docker.io/library/ab:1;;
esac
`), 0o755))
	ask := func(status int, request string) string {
		t.Helper()
		answer := httptest.NewRecorder()
		method, target, _ := strings.Cut(request, " ")
		d.ServeHTTP(answer, httptest.NewRequest(method, target, nil))
		require.Equal(t, status, answer.Code, answer.Body)
		return answer.Body.String()
	}
	require.Equal(t, `{"id":"1","status":"Pulling from a/b"}
{"status":"0123: Pull complete"}
{"status":"Status: Image is up to date for localhost:5/a/b:1"}
`, ask(200, "POST /images/create?fromImage=localhost:5/a/b&tag=1"))
	require.Equal(t, `{"message":"pull bad: 404 Not Found\n     there is no such name"}
`, ask(404, "POST /images/create?fromImage=localhost:5/bad&tag=1"))
	require.Equal(t, `{"id":"1","status":"Pulling from half"}
{"status":"0123: Pull complete"}
{"error":"no space","errorDetail":{"code":0,"message":"no space"}}
`, ask(200, "POST /images/create?fromImage=localhost:5/half&tag=1"))
	require.Equal(t, `{"message":"An image does not exist locally with the tag: ab:1"}
`, ask(404, "POST /images/ab/push?tag=1"))
}

// TestHintOfBuildKit: a client of BuildKit's, for which there is none, pulls one to run it.
func TestHintOfBuildKit(t *testing.T) {
	_, text := answerOf(idle(t), "POST http://box/images/create?fromImage=moby/buildkit&tag=buildx-stable-1", "")
	require.Contains(t, text, "set DOCKER_BUILDKIT=0")
}

// gone is a client that has left, and counts how often it was given a status.
type gone struct {
	http.ResponseWriter
	statuses int
}

func (g *gone) WriteHeader(int)           { g.statuses++ }
func (g *gone) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestClientGone: a message that does not reach the client is no second answer, of which net/http complains.
func TestClientGone(t *testing.T) {
	client := &gone{ResponseWriter: httptest.NewRecorder()}
	idle(t).ServeHTTP(client, httptest.NewRequest("POST", "/images/load", nil))
	require.Zero(t, client.statuses, "the first message is the answer, with 200")
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

// FuzzRouter: whatever is asked, nothing panics, and each refusal has a sentence. There is a container
// xy with a command, so that requests about one come to their end.
func FuzzRouter(f *testing.F) {
	for _, r := range routes {
		f.Add(cmp.Or(r.method, "GET"), strings.ReplaceAll(r.path, "NAME", "xy")+`?all=1&filters={}&path=/&h=1&w=1&fromImage=x&t=1&stdout=1`, `{"Image":"tiny"}`)
	}
	f.Add("POST", "/v1.47/containers/create?name=/xy2", `{"Image":"tiny","HostConfig":{"Binds":["a:/b"],"PortBindings":{"80/tcp":[{}]}}}`)
	f.Add("POST", "/containers/xy/exec", `{"Cmd":["true"]}`)
	f.Add("POST", "/box", `{"Words":["ps"],"Dir":"/","Env":["A=1"],"Terminal":true}`)
	f.Add("POST", "/networks/none/connect", `{"Container":"xy","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.0.0.1"}}}`)
	d := idle(f)
	made := exec.Command(box, "create", "--root", d.Root, "--name", "xy", "--network", "none", "tiny", "true")
	out, err := made.CombinedOutput()
	require.NoError(f, err, "%s", out)
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
		require.NotContains(t, problem.Message, "runtime error")
	})
}
