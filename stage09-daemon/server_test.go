package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/state"
)

// The files of the stages before are the same to the byte, which `lessons verify` checks: their
// tests are there.

// box is the program under test.
var box string

func TestMain(m *testing.M) {
	boxtest.Main(m, func(dir string) error {
		box = filepath.Join(dir, "box")
		cmd := exec.Command("go", "run", "-buildvcs=false", "-exec", "install", ".", box)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
		return nil
	})
}

// client is a client of a daemon with a store of its own.
type client struct {
	*testing.T
	http.Client
	socket, root string
	daemon       *exec.Cmd
}

// ask starts a daemon, in which tiny is an image already.
func ask(t *testing.T) *client {
	dir, err := os.MkdirTemp("", "box") // the path of a socket has 107 bytes at most
	require.NoError(t, err)
	c := &client{T: t, socket: filepath.Join(dir, "sock"), root: filepath.Join(dir, "store")}
	c.Transport = &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", c.socket) }}
	c.box("run", "--rm", "--network", "none", "tiny", "true")
	c.startDaemon()
	t.Cleanup(func() {
		require.NoError(t, c.daemon.Process.Signal(unix.SIGTERM))
		require.NoError(t, c.daemon.Wait(), "SIGTERM ends a daemon")
		if names := strings.Fields(c.box("ps", "-aq")); len(names) > 0 {
			c.box(append([]string{"rm", "-f"}, names...)...)
		}
		require.NoError(t, removeTree(dir))
	})
	return c
}

// TestTinyIsMade: the image that no registry has is made for a client too.
func TestTinyIsMade(t *testing.T) {
	c := ask(t)
	c.box("rmi", "tiny")
	c.create("first", nil, "true")
	c.ok(200, "GET", "/images/tiny/json", nil)
}

// startDaemon starts a daemon, and waits until it answers. To connect is not enough: where one was
// killed, a child of its that has not executed its program yet may still hold the socket.
func (c *client) startDaemon() {
	c.daemon = exec.Command(box, "daemon", "-H", "unix://"+c.socket)
	c.daemon.Env = append(os.Environ(), "BOX_ROOT="+c.root, "STAGEBOX_SECRET=1")
	c.daemon.Stderr = os.Stderr
	if os.Geteuid() == 0 { // its networks are not the host's
		c.daemon.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	}
	require.NoError(c, c.daemon.Start())
	require.Eventually(c, func() bool {
		status, _, err := c.try("GET", "/_ping", nil)
		return err == nil && status == 200
	}, time.Minute, 5*time.Millisecond)
}

// box runs the command on the same store.
func (c *client) box(args ...string) string {
	c.Helper()
	cmd := exec.Command(box, args...)
	cmd.Env = append(os.Environ(), "BOX_ROOT="+c.root)
	out, err := cmd.CombinedOutput()
	require.NoError(c, err, "%v: %s", args, out)
	return string(out)
}

// do asks, and returns the status and the body.
func (c *client) do(method, path string, body any) (int, string) {
	c.Helper()
	status, text, err := c.try(method, path, body)
	require.NoError(c, err)
	return status, text
}

// try asks a daemon that may end meanwhile.
func (c *client) try(method, path string, body any) (int, string, error) {
	c.Helper()
	reader, ok := body.(io.Reader)
	if !ok && body != nil {
		text, err := json.Marshal(body)
		require.NoError(c, err)
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, "http://box/v1.47"+path, reader)
	require.NoError(c, err)
	answer, err := c.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, strings.TrimSpace(string(text)), err
}

// ok asks, and wants a status.
func (c *client) ok(status int, method, path string, body any) string {
	c.Helper()
	got, text := c.do(method, path, body)
	require.Equal(c, status, got, "%s %s: %s", method, path, text)
	return text
}

// create makes a container of tiny.
func (c *client) create(name string, more map[string]any, script string) {
	c.Helper()
	body := map[string]any{"Image": "tiny", "Cmd": []string{"sh", "-c", script}, "HostConfig": map[string]any{"NetworkMode": "none"}}
	for key, value := range more {
		body[key] = value
	}
	c.ok(201, "POST", "/containers/create?name="+name, body)
}

// hijack sends a request that takes the connection over.
func (c *client) hijack(path, body string) (conn *net.UnixConn, in io.Reader) {
	c.Helper()
	raw, err := net.Dial("unix", c.socket)
	require.NoError(c, err)
	c.Cleanup(func() { raw.Close() })
	_, err = fmt.Fprintf(raw, "POST %s HTTP/1.1\r\nHost: box\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, len(body), body)
	require.NoError(c, err)
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one...) {
		_, err := io.ReadFull(raw, one)
		require.NoError(c, err, "%s", head)
	}
	require.Contains(c, string(head), "HTTP/1.1 101 UPGRADED\r\n")
	return raw.(*net.UnixConn), raw
}

// frames reads frames to the end, and returns the streams.
func (c *client) frames(in io.Reader) (stdout, stderr string) {
	c.Helper()
	var streams [3]strings.Builder
	header := make([]byte, 8)
	for {
		_, err := io.ReadFull(in, header)
		if err == io.EOF {
			return streams[1].String(), streams[2].String()
		}
		require.NoError(c, err)
		_, err = io.CopyN(&streams[header[0]], in, int64(binary.BigEndian.Uint32(header[4:])))
		require.NoError(c, err)
	}
}

// TestLife: what a client is attached to before the start reaches it whole, its input has an end,
// and wait answers before the start and after the end.
func TestLife(t *testing.T) {
	c := ask(t)
	status, text := c.do("POST", "/containers/create", map[string]any{"Image": "nosuch"})
	require.Equal(t, 404, status, text)
	c.ok(400, "POST", "/containers/create", map[string]any{"Image": "tiny", "HostConfig": map[string]any{"VolumesFrom": []string{"nosuch"}}})
	c.create("web", map[string]any{"OpenStdin": true, "Env": []string{"A=1", "STAGEBOX_SECRET"}},
		"echo first; cat; echo $A.$STAGEBOX_SECRET >&2; exit 9")
	conn, in := c.hijack("/containers/web/attach?stream=1&stdin=1&stdout=1&stderr=1", "")
	other, inToo := c.hijack("/containers/web/attach?stream=1&stdout=1", "")
	waits := make(chan string, 2)
	for _, condition := range []string{"next-exit", "removed"} {
		go func() {
			_, text := c.do("POST", "/containers/web/wait?condition="+condition, nil)
			waits <- text
		}()
	}
	c.ok(204, "POST", "/containers/web/start", nil)
	c.ok(304, "POST", "/containers/web/start", nil)
	_, err := io.WriteString(conn, "typed\n")
	require.NoError(t, errors.Join(err, conn.CloseWrite()))
	stdout, stderr := c.frames(in)
	require.Equal(t, []string{"first\ntyped\n", "1.\n"}, []string{stdout, stderr})
	stdout, stderr = c.frames(inToo)
	require.Equal(t, []string{"first\ntyped\n", ""}, []string{stdout, stderr})
	require.NoError(t, other.Close())
	require.JSONEq(t, `{"StatusCode":9,"Error":null}`, <-waits)
	require.Contains(t, c.ok(200, "GET", "/containers/json?all=1", nil), `"Status":"Exited (9)`)
	require.Equal(t, "[]", c.ok(200, "GET", `/containers/json?filters={"name":["web"]}`, nil))
	logs := c.ok(200, "GET", "/containers/web/logs?stdout=1&follow=1", nil)
	stdout, _ = c.frames(strings.NewReader(logs + "\n")) // trimmed
	require.Equal(t, "first\ntyped\n", stdout)
	c.ok(409, "POST", "/containers/web/kill", nil)
	c.ok(204, "POST", "/containers/web/rename?name=gone", nil)
	c.ok(204, "DELETE", "/containers/gone", nil)
	require.JSONEq(t, `{"StatusCode":9,"Error":null}`, <-waits)
}

// TestShortRuns: the exit status of a container that removes itself at once is never lost.
func TestShortRuns(t *testing.T) {
	c := ask(t)
	for i := range 5 {
		name := fmt.Sprint("short", i)
		c.create(name, map[string]any{"HostConfig": map[string]any{"NetworkMode": "none", "AutoRemove": true}}, fmt.Sprint("exit ", 10+i))
		done := make(chan string)
		answer, err := c.Post("http://box/containers/"+name+"/wait?condition=removed", "", nil)
		require.NoError(t, err)
		go func() {
			text, _ := io.ReadAll(answer.Body)
			done <- string(text)
		}()
		c.ok(204, "POST", "/containers/"+name+"/start", nil)
		require.JSONEq(t, fmt.Sprintf(`{"StatusCode":%d,"Error":null}`, 10+i), <-done)
		c.ok(404, "GET", "/containers/"+name+"/json", nil)
	}
}

// TestNetworkByID: clients name a network by its id too.
func TestNetworkByID(t *testing.T) {
	c := askAsRoot(t)
	var made struct{ Id string }
	require.NoError(t, json.Unmarshal([]byte(c.ok(201, "POST", "/networks/create", map[string]any{"Name": "ours"})), &made))
	c.create("web", map[string]any{"HostConfig": map[string]any{"NetworkMode": made.Id},
		"NetworkingConfig": map[string]any{"EndpointsConfig": map[string]any{made.Id: map[string]any{"Aliases": []string{"www"}}}}}, "true")
	require.Contains(t, c.ok(200, "GET", "/containers/web/json", nil), `"NetworkMode":"ours"`)
}

// TestKillIsOver: a container that was killed has ended when the answer comes, as programs that remove
// it next expect.
func TestKillIsOver(t *testing.T) {
	boxtest.Turn(t, 0, 4)
	c := ask(t)
	c.create("web", nil, "while :; do sleep 0.05; done")
	for range 20 {
		c.ok(204, "POST", "/containers/web/start", nil)
		c.ok(204, "POST", "/containers/web/kill", nil)
		require.Contains(t, c.ok(200, "GET", "/containers/web/json", nil), `"Running":false`)
	}
}

// askAsRoot is ask for what needs a bridge, which an ordinary user cannot have.
func askAsRoot(t *testing.T) *client {
	c := ask(t)
	if os.Geteuid() != 0 {
		require.Contains(t, c.ok(403, "POST", "/networks/create", map[string]any{"Name": "ours"}), "only root may make a bridge")
		t.Skip("only root may make a bridge")
	}
	return c
}

// provoking is a request, and the status and words of its answer.
type provoking struct {
	method, path string
	body         any
	status       int
	words        string
}

// mistakes are everybody's; those of root need a bridge or a cgroup.
var mistakes = []provoking{
	{"POST", "/containers/web/kill?signal=FOO", nil, 400, "no such signal"},
	{"POST", "/containers/runs-nosuch6/start", nil, 400, "faccessat("},
	{"POST", "/containers/runs-nosuch7/start", nil, 400, "execve("},
	{"GET", "/containers/nosuch/changes", nil, 404, "no such "},
	{"DELETE", "/volumes/nosuch", nil, 404, "no such volume"},
	{"POST", "/containers/idle/update", map[string]any{"Memory": 1}, 400, "--"},
	{"POST", "/containers/idle/update", map[string]any{"RestartPolicy": map[string]any{"Name": "x"}}, 400, "no such policy"},
	{"GET", "/containers/idle/archive?path=", nil, 400, "give a path after the colon"},
	{"POST", "/containers/create?platform=x/y", map[string]any{"Image": "tiny"}, 400, "give OS/ARCH"},
	{"POST", "/containers/idle/rename?name=web", nil, 409, "has this name"},
	{"DELETE", "/containers/web", nil, 409, "another box is using it"},
	{"DELETE", "/volumes/data", nil, 409, "belongs to container"},
	{"DELETE", "/images/tiny", nil, 409, "is in container"},
	{"POST", "/containers/idle/kill", nil, 409, "is not running"},
	{"POST", "/containers/idle/rename?name=a:b", nil, 400, "a name is made of"},
	{"POST", "/containers/create", map[string]any{"Image": "mute"}, 400, "does not say what to run"},
	{"POST", "/containers/create", map[string]any{"Image": "TINY"}, 400, "invalid reference format"}, // 404 has a client pull it
	{"GET", "/containers/json?all=1", nil, 200, `"Command":"sh -c 'while :; do sleep 0.05; done'"`},
	{"POST", "/volumes/create", map[string]any{"Name": "a\x00b"}, 400, "has a NUL in it"},
	{"POST", "/containers/create", map[string]any{"Image": "tiny", "Env": []string{"A=" + strings.Repeat("x", 1<<18)}}, 400, "longer than an argument may be"},
	{"POST", "/containers/stranger/start", nil, 500, "user is paused--: no such user"},
}

var mistakesOfRoot = []provoking{
	{"POST", "/containers/web/pause", nil, 204, ""},
	{"POST", "/containers/web/pause", nil, 409, "is paused"},
	{"POST", "/containers/web/start", nil, 409, "try unpause"},
	{"POST", "/containers/web/unpause", nil, 204, ""},
	{"POST", "/containers/lost/start", nil, 404, "no such network"},
	{"DELETE", "/networks/ours", nil, 403, "stop or disconnect its containers first"},
	{"POST", "/networks/create", map[string]any{"Name": "ours"}, 409, "exists already"},
	{"POST", "/networks/create", map[string]any{}, 400, "a name has letters"},
	{"POST", "/networks/create", map[string]any{"Name": "none"}, 403, "none is a predefined network"},
	{"POST", "/networks/create", subnetted("other"), 403, "overlaps with"},
	{"POST", "/networks/ours/connect", map[string]any{"Container": "web"}, 403, "is on it already"},
	{"POST", "/networks/ours/disconnect", map[string]any{"Container": "idle"}, 404, "is not on it"},
}

// subnetted asks for a network, always of the same subnet.
func subnetted(name string) map[string]any {
	subnet := map[string]any{"Subnet": "10.213.7.0/24"}
	return map[string]any{"Name": name, "IPAM": map[string]any{"Config": []any{subnet}}}
}

// all makes each mistake.
func (c *client) all(list []provoking) {
	for _, p := range list {
		status, text := c.do(p.method, p.path, p.body)
		require.Equal(c, p.status, status, "%s %s: %s", p.method, p.path, text)
		require.Contains(c, text, p.words)
	}
}

// TestStatuses: the kind of a job's error decides about the status, so each is provoked by the real
// command. Its words do not.
func TestStatuses(t *testing.T) {
	c := ask(t)
	c.create("web", map[string]any{"HostConfig": map[string]any{"NetworkMode": "none", "Binds": []string{"data:/data"}}}, "while :; do sleep 0.05; done")
	c.create("idle", nil, "true")
	c.ok(204, "POST", "/containers/web/start", nil)
	for _, program := range []string{"nosuch", "/nosuch"} {
		body := map[string]any{"Image": "tiny", "Cmd": []string{program}, "HostConfig": map[string]any{"NetworkMode": "none"}}
		c.ok(201, "POST", "/containers/create?name=runs-"+strings.Trim(program, "/")+fmt.Sprint(len(program)), body)
	}
	c.ok(200, "POST", "/build?t=mute", tarOf(t, "Dockerfile", "FROM scratch\nLABEL a=b\n"))
	user := map[string]any{"Image": "tiny", "Cmd": []string{"true"}, "User": "is paused--", "HostConfig": map[string]any{"NetworkMode": "none"}}
	c.ok(201, "POST", "/containers/create?name=stranger", user)
	c.all(mistakes)
}

func TestStatusesForRoot(t *testing.T) {
	c := askAsRoot(t)
	c.ok(201, "POST", "/networks/create", subnetted("ours"))
	c.ok(201, "POST", "/networks/create", map[string]any{"Name": "gone"})
	c.create("web", map[string]any{"HostConfig": map[string]any{"NetworkMode": "ours"}}, "while :; do sleep 0.05; done")
	c.create("idle", nil, "true")
	c.create("lost", map[string]any{"HostConfig": map[string]any{"NetworkMode": "gone"}}, "true")
	c.ok(204, "POST", "/containers/web/start", nil)
	c.ok(204, "DELETE", "/networks/gone", nil)
	c.all(mistakesOfRoot)
}

// tarOf is a tar archive with one file.
func tarOf(t *testing.T, name, text string) *bytes.Buffer {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(1e9, 0)}))
	_, err := io.WriteString(w, text)
	require.NoError(t, errors.Join(err, w.Close()))
	return &out
}

// TestInside: commands in a container, its processes, and its files.
func TestInside(t *testing.T) {
	boxtest.Turn(t, 2, 4)
	c := ask(t)
	c.create("web", nil, "trap exit TERM; while :; do sleep 0.05; done")
	c.ok(409, "POST", "/containers/web/exec", map[string]any{"Cmd": []string{"true"}})
	c.ok(204, "POST", "/containers/web/start", nil)
	c.ok(200, "PUT", "/containers/web/archive?path=/tmp", tarOf(t, "x", "hello\n"))
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := io.Copy(z, tarOf(t, "z", "zipped\n"))
	require.NoError(t, errors.Join(err, z.Close()))
	c.ok(200, "PUT", "/containers/web/archive?path=/tmp", &zipped)
	require.Equal(t, "zipped\n", c.box("exec", "web", "cat", "/tmp/z"))
	id := c.box("inspect", "-f", "{{.Id}}", "web")[:12]
	require.Equal(t, id+"\n"+id+"\n", c.box("exec", "web", "hostname")+c.box("inspect", "-f", "{{.Config.Hostname}}", "web"))
	c.ok(404, "PUT", "/containers/web/archive?path=/none", tarOf(t, "x", ""))
	var e struct{ ID string }
	made := c.ok(201, "POST", "/containers/web/exec", map[string]any{"Cmd": []string{"sh", "-c", "cat /tmp/x -; exit 5"}, "AttachStdin": true, "AttachStdout": true})
	require.NoError(t, json.Unmarshal([]byte(made), &e))
	conn, in := c.hijack("/exec/"+e.ID+"/start", `{}`)
	_, err = io.WriteString(conn, "typed\n")
	require.NoError(t, errors.Join(err, conn.CloseWrite()))
	stdout, _ := c.frames(in)
	require.Equal(t, "hello\ntyped\n", stdout)
	require.Contains(t, c.ok(200, "GET", "/exec/"+e.ID+"/json", nil), `"ExitCode":5`)
	c.ok(409, "POST", "/exec/"+e.ID+"/start", map[string]any{})
	require.Contains(t, c.ok(200, "GET", "/containers/web/top", nil), "while :; do")
	require.Contains(t, c.ok(200, "GET", "/containers/web/changes", nil), `{"Path":"/tmp/x","Kind":1}`)
	header, err := tar.NewReader(strings.NewReader(c.ok(200, "GET", "/containers/web/archive?path=/tmp/x", nil))).Next()
	require.NoError(t, err)
	require.Equal(t, "x", header.Name)
	c.ok(404, "GET", "/containers/web/archive?path=/tmp/y", nil)
	if os.Geteuid() == 0 {
		require.Contains(t, c.ok(200, "GET", "/containers/web/stats?stream=0", nil), `"pids_stats":{"current":`)
		require.Contains(t, c.ok(200, "GET", "/containers/web/stats?stream=0", nil), `"networks":{}`, "it has no link")
	}
	c.ok(204, "POST", "/containers/web/stop?t=20", nil)
	c.ok(304, "POST", "/containers/web/stop", nil)
}

// TestExecSizes: the terminal of a command has its size when that is confirmed, and from its beginning
// the one that was given before.
func TestExecSizes(t *testing.T) {
	boxtest.Turn(t, 2, 4)
	c := ask(t)
	c.create("web", nil, "while :; do sleep 0.05; done")
	c.ok(204, "POST", "/containers/web/start", nil)
	made := func(more map[string]any) string {
		body := map[string]any{"Cmd": []string{"stty", "size"}, "AttachStdin": true, "AttachStdout": true, "Tty": true}
		maps.Copy(body, more)
		var e struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(c.ok(201, "POST", "/containers/web/exec", body)), &e))
		return "/exec/" + e.ID
	}
	printed := func(e, body string) string {
		_, in := c.hijack(e+"/start", body)
		text, err := io.ReadAll(in)
		require.NoError(t, err)
		return string(text)
	}
	require.Equal(t, "31 101\r\n", printed(made(map[string]any{"ConsoleSize": []int{31, 101}}), `{"Tty":true}`))
	require.Equal(t, "32 102\r\n", printed(made(nil), `{"Tty":true,"ConsoleSize":[32,102]}`))
	early := made(nil)
	c.ok(200, "POST", early+"/resize?h=33&w=103", nil)
	require.Equal(t, "33 103\r\n", printed(early, `{"Tty":true}`))

	asks := made(map[string]any{"Cmd": []string{"sh", "-c", "while read l; do stty size; done"}})
	conn, in := c.hijack(asks+"/start", `{"Tty":true}`)
	lines := bufio.NewReader(in)
	for row := 20; row < 60; row++ {
		c.ok(200, "POST", fmt.Sprint(asks, "/resize?w=90&h=", row), nil)
		c.ok(200, "POST", fmt.Sprint(asks, "/resize?w=90&h=", row), nil) // the same again
		_, err := io.WriteString(conn, "\n")
		require.NoError(t, err)
		size := "\r\n"
		for size == "\r\n" { // the echo
			size, err = lines.ReadString('\n')
			require.NoError(t, err)
		}
		require.Equal(t, fmt.Sprint(row, " 90\r\n"), size)
	}
	require.NoError(t, conn.CloseWrite())
}

// TestImages: a build, which is a job with the context as its input, and what is made of an image.
func TestImages(t *testing.T) {
	boxtest.Turn(t, 2, 4)
	c := ask(t)
	out := c.ok(200, "POST", "/build?t=built&buildargs="+`{"A":"1"}`, tarOf(t, "Dockerfile", "FROM tiny\nARG A\nLABEL a=$A\nCMD cat /etc/os-release\n"))
	require.Contains(t, out, "Successfully tagged built")
	out = c.ok(200, "POST", "/build?t=built", tarOf(t, "Dockerfile", "FROM tiny\nNONSENSE\n"))
	require.Contains(t, out, `"errorDetail"`)
	require.Contains(t, c.ok(200, "GET", `/images/json?filters={"label":{"a=1":true}}`, nil), `"RepoTags":["built:latest"]`)
	require.Contains(t, c.ok(200, "GET", "/images/built/history", nil), "LABEL")
	c.ok(201, "POST", "/images/built/tag?repo=a/b&tag=c", nil)
	saved := c.ok(200, "GET", "/images/a/b:c/get", nil)
	require.Contains(t, c.ok(200, "DELETE", "/images/a/b:c", nil), `{"Untagged":"a/b:c"}`)
	require.Contains(t, c.ok(200, "POST", "/images/load", strings.NewReader(saved)), "Loaded image: a/b:c")
	c.ok(404, "GET", "/images/nosuch/json", nil)
	c.ok(501, "POST", "/build?version=2", nil)
}

// TestEvents: also what a plain box does is seen.
func TestEvents(t *testing.T) {
	boxtest.Turn(t, 0, 4)
	c := ask(t)
	answer, err := c.Get(`http://box/events?filters={"type":{"container":true}}`)
	require.NoError(t, err)
	defer answer.Body.Close()
	c.box("run", "-d", "--name", "one", "--network", "none", "tiny", "sh", "-c", "exit 3")
	c.box("wait", "one")
	c.box("rename", "one", "two")
	c.box("rm", "two")
	events := json.NewDecoder(answer.Body)
	var seen []string
	for range 5 {
		var e struct {
			Action string
			Actor  struct{ Attributes map[string]string }
		}
		require.NoError(t, events.Decode(&e))
		seen = append(seen, strings.TrimSpace(e.Action+" "+e.Actor.Attributes["name"]+" "+e.Actor.Attributes["exitCode"]))
	}
	require.Equal(t, []string{"create one", "start one", "die one 3", "rename two", "destroy two"}, seen)
}

// TestHealth: what a health check finds is an event, once.
func TestHealth(t *testing.T) {
	c := ask(t)
	answer, err := c.Get(`http://box/events?filters={"event":{"health_status":true}}`)
	require.NoError(t, err)
	defer answer.Body.Close()
	c.create("web", map[string]any{"Healthcheck": map[string]any{"Test": []string{"CMD", "test", "-e", "/works"}, "Interval": 50e6, "Retries": 1}}, "exec sleep 1000")
	c.ok(204, "POST", "/containers/web/start", nil)
	events := json.NewDecoder(answer.Body)
	for _, want := range []string{"health_status: unhealthy", "health_status: healthy"} {
		var e struct{ Action string }
		require.NoError(t, events.Decode(&e))
		require.Equal(t, want, e.Action)
		c.box("exec", "web", "touch", "/works")
	}
	require.Contains(t, c.ok(200, "GET", "/containers/web/json", nil), `"Health":{"Status":"healthy","FailingStreak":0`)
	require.Contains(t, c.ok(200, "GET", "/containers/json?filters="+`{"health":{"healthy":true}}`, nil), `(healthy)`)
}

// TestClientsLeave: of a client that has left, nothing stays in the daemon.
func TestClientsLeave(t *testing.T) {
	boxtest.Turn(t, 3, 4)
	c := ask(t)
	c.create("web", map[string]any{"OpenStdin": true}, "cat")
	c.create("idle", nil, "true")
	c.ok(204, "POST", "/containers/web/start", nil)
	goroutines := func() int {
		var info struct{ NGoroutines int }
		require.NoError(t, json.Unmarshal([]byte(c.ok(200, "GET", "/info", nil)), &info))
		return info.NGoroutines
	}
	before := goroutines()
	var all []net.Conn
	for range 10 {
		for _, name := range []string{"web", "idle"} {
			conn, _ := c.hijack("/containers/"+name+"/attach?stream=1&stdin=1&stdout=1", "")
			all = append(all, conn)
		}
		for _, path := range []string{"POST /containers/web/wait", "GET /containers/web/logs?follow=1&stdout=1", "GET /events"} {
			conn, err := net.Dial("unix", c.socket)
			require.NoError(t, err)
			_, err = io.WriteString(conn, path+" HTTP/1.1\r\nHost: box\r\n\r\n")
			require.NoError(t, err)
			_, err = io.ReadFull(conn, make([]byte, 12))
			require.NoError(t, err)
			all = append(all, conn)
		}
	}
	require.Greater(t, goroutines(), before+40)
	for _, conn := range all {
		require.NoError(t, conn.Close())
	}
	require.Eventually(t, func() bool { return goroutines() <= before+5 }, time.Minute, 50*time.Millisecond)
	c.ok(204, "DELETE", "/containers/web?force=1", nil)
}

// TestListen: a socket of a daemon that runs is left alone, and so is a file of another kind. The
// lock of one that was killed goes with the last of its children, a moment later.
func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := listenAt(path, "")
	require.NoError(t, err)
	_, err = listenAt(path, "")
	require.ErrorContains(t, err, "another daemon uses this socket")
	require.NoError(t, first.Close())
	dead, err := state.TryLock(path+".lock", state.Exclusive)
	require.NoError(t, err)
	time.AfterFunc(50*time.Millisecond, func() { dead.Close() })
	next, err := listenAt(path, "")
	require.NoError(t, err)
	require.NoError(t, next.Close())
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = listenAt(path, "")
	require.ErrorContains(t, err, "is not a socket")
	require.NoFileExists(t, path+".lock", "/etc/passwd.lock would keep other programs out")
	_, err = listenAt(path+".group", "no such group")
	require.Error(t, err)
	require.NoFileExists(t, path+".group.lock")
	for host, says := range map[string]string{
		"tcp://127.0.0.1:0": "has to show a certificate", "npipe://x": "not an address", "unix://": "not an address",
		"fd://": "systemd has opened no socket",
	} {
		_, err = (&daemonCmd{Hosts: []string{"unix://" + path + ".first", host}}).listen()
		require.ErrorContains(t, err, says)
		require.NoFileExists(t, path+".first.lock", "the others are closed")
	}
}

// TestInherited: a daemon serves the socket that systemd has opened, and leaves it there.
func TestInherited(t *testing.T) {
	dir, err := os.MkdirTemp("", "box")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "sock")})
	require.NoError(t, err)
	defer l.Close()
	file, err := l.File()
	require.NoError(t, err)
	daemon := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" daemon -H fd://`, box)
	daemon.Env = append(os.Environ(), "BOX_ROOT="+filepath.Join(dir, "store"))
	daemon.ExtraFiles = []*os.File{file}
	require.NoError(t, errors.Join(daemon.Start(), file.Close()))
	c := &client{T: t, socket: filepath.Join(dir, "sock")}
	c.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", c.socket) }}
	require.Equal(t, "OK", c.ok(200, "GET", "/_ping", nil))
	require.NoError(t, errors.Join(daemon.Process.Signal(unix.SIGTERM), daemon.Wait()))
	require.FileExists(t, c.socket, "the next daemon gets it")
}

// TestLogsOfAContainerThatGoes: a client reads when it likes, and removes the container before. The
// Docker SDK for Python does.
func TestLogsOfAContainerThatGoes(t *testing.T) {
	boxtest.Turn(t, 3, 4)
	c := ask(t)
	for range 10 {
		c.box("run", "--name", "brief", "--network", "none", "tiny", "echo", "said")
		answer, err := c.Get("http://box/containers/brief/logs?stdout=1&follow=1")
		require.NoError(t, err)
		c.ok(204, "DELETE", "/containers/brief", nil)
		stdout, _ := c.frames(answer.Body)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, "said\n", stdout)
	}
}
