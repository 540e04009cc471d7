package behave

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The rows about the daemon. A client in them speaks plain HTTP; what it has asked for is looked at
// with the binary itself. The rows' container is named still.

func init() { table = append(table, daemonRows...) }

var daemonRows = []Row{{
	Name: "daemon: a client creates a container, starts it and learns how it has ended; box sees the same", Since: 9,
	Check: func(b *Box) Seen {
		return b.asked(func(d *asked) Seen {
			d.create(`exit 7`)
			start, wait := d.post("/containers/still/start", ""), d.post("/containers/still/wait", "")
			return all(same("204", start), same(`200 {"StatusCode":7,"Error":null}`, wait),
				printed("exited 7", b.Run("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "still")))
		})
	},
	Broken: `[ "$1" = daemon ] && exec "$BOX" "$@" --root "$HOME/other"; exec "$BOX" "$@"`,
}, {
	Name: "daemon: a container outlives a daemon that is killed, and the next one knows how it has ended", Since: 9,
	Check: func(b *Box) Seen {
		return b.asked(func(d *asked) Seen {
			d.create(`trap "exit 5" TERM; echo ready; while :; do sleep 0.01; done`)
			return same("204", d.post("/containers/still/start", ""))
		}, func(d *asked) Seen {
			return all(printed("running", b.Run("inspect", "-f", "{{.State.Status}}", "still")),
				same("204", d.post("/containers/still/stop?t=20", "")),
				same(`200 {"StatusCode":5,"Error":null}`, d.post("/containers/still/wait", "")))
		})
	},
	Broken: `[ "$1" = daemon ] && { "$BOX" kill still 2>/dev/null; exec "$BOX" "$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "daemon: what is not served is refused with a sentence, and so are versions that are not spoken", Since: 9,
	Check: func(b *Box) Seen {
		return b.asked(func(d *asked) Seen {
			refused := func(want, path string) Seen {
				got := d.post(path, "{}")
				return holds(strings.HasPrefix(got, want+` {"message":"`) && len(got) > 30, want+" and a sentence", got)
			}
			return all(refused("501", "/v1.47/swarm/init"), refused("400", "/v1.23/containers/create"), refused("400", "/v1.48/containers/create"),
				refused("404", "/nonsense"), refused("404", "/containers/none/start"), refused("400", "/containers/create"))
		})
	},
	Broken: `[ "$1" = daemon ] && exit 1; exec "$BOX" "$@"`,
}}

// asked is a client of a daemon.
type asked struct{ http.Client }

// asked starts a daemon, lets a client ask it, and kills it. A container that is left is removed
// after the last one.
func (b *Box) asked(asks ...func(d *asked) Seen) Seen {
	real := *b
	real.path, real.ctx = b.place.binary, context.WithoutCancel(b.ctx) // also when all is to end
	defer func() { real.Run("rm", "-f", "still") }()
	var seen []Seen
	for _, ask := range asks {
		seen = append(seen, b.askOne(ask))
	}
	return all(seen...)
}

func (b *Box) askOne(ask func(d *asked) Seen) Seen {
	if e := b.Run("run", "--rm", "tiny", "true"); e.Status != 0 {
		return status(0, e)
	}
	socket := filepath.Join(b.Dir, "s")
	r := b.prepare(b.path, "daemon", "-H", "unix://"+socket)
	if err := r.start(); err != nil {
		return failed(err)
	}
	d := &asked{}
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }
	d.Transport = &http.Transport{DialContext: dial, DisableKeepAlives: true}
	ended := make(chan error, 1)
	go func() { ended <- r.Wait() }()
	for end := time.Now().Add(patience / 4); d.do("GET", "/_ping", "") != "200 OK" && time.Now().Before(end); {
		select {
		case err := <-ended:
			return holds(false, "a daemon that answers", r.ended(err, "", "").String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	seen := ask(d)
	err := r.Process.Kill()
	r.ended(<-ended, "", "")
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return failed(err)
	}
	return seen
}

// create makes the container with a script, and variables.
func (d *asked) create(script string, env ...string) string {
	body, err := json.Marshal(map[string]any{"Image": "tiny", "Cmd": []string{"sh", "-c", script}, "Env": env,
		"HostConfig": map[string]string{"NetworkMode": "none"}})
	if err != nil {
		return err.Error()
	}
	return d.post("/containers/create?name=still", string(body))
}

func (d *asked) post(path, body string) string { return d.do("POST", path, body) }

// do returns the status of an answer, and its body on one line.
func (d *asked) do(method, path, body string) string {
	request, err := http.NewRequest(method, "http://box"+path, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	answer, err := d.Do(request)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", answer.StatusCode, words(string(text))))
}
