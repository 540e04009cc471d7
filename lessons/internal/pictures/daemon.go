package pictures

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"stagebox/lessons/internal/stages"
)

// daemonScript has a daemon narrate how a client starts a container.
const daemonScript = `box run --rm --network none tiny true
box daemon -H unix://$PWD/s --explain 2>log & daemon=$!
trap 'kill $daemon; wait $daemon; box rm -f web >/dev/null' EXIT
web -ask s POST '/containers/create?name=web' '{"Image":"tiny","Cmd":["sleep","500"],"HostConfig":{"NetworkMode":"none"}}' >/dev/null
web -ask s POST /containers/web/start
cat log`

// asked is what a daemon has narrated of a request.
type asked struct {
	request, handler, job string
	calls                 int
}

// drawDaemon draws the way of a request: to its handler, to a job, and to a container that needs
// neither of them any more.
func drawDaemon(b *box) (*drawing, error) {
	if err := stages.Compile(b.ctx, filepath.Dir(b.stage.Dir), "./lessons/web", filepath.Join(b.dir, "bin", "web")); err != nil {
		return nil, err
	}
	out, err := b.run(0, daemonScript)
	if err != nil {
		return nil, err
	}
	a := narrated(out)
	if a.request == "" || a.handler == "" || a.job == "" || a.calls < 100 {
		return nil, fmt.Errorf("the narration of a start is expected:\n%s", out)
	}
	d := newDrawing("From a request to a container",
		"On top a client, which sends a request to the daemon over a unix socket. In the daemon the router finds its handler. The handler starts a job, a box command in a process of its own, and the job a monitor, which makes the container and stays with it. When the daemon is killed, the job, the monitor and the container go on.")
	d.rect(92, 60, 296, 40, "")
	d.text(240, 85, "mid", "a client, such as docker")
	d.arrow("blue", 120, 100, 120, 178)
	d.text(132, 128, "mono", a.request)
	d.rect(margin, 146, 440, 158, "dash")
	d.text(margin+12, 168, "bold", "the daemon")
	d.station(184, "blue", "router.go", "finds the route")
	d.arrow("blue", 240, 226, 240, 246)
	d.station(252, "blue", a.handler, "the handler")
	d.arrow("amber", 240, 294, 240, 340)
	d.station(346, "amber", a.job, "the job, a process of its own")
	d.arrow("amber", 240, 388, 240, 408)
	d.station(414, "amber", "the monitor", "stays, and keeps the log")
	d.arrow("green", 240, 456, 240, 476)
	d.station(482, "green", "the container", "a list of system calls")
	d.text(margin, 552, "soft", "Below the dashed frame, nothing needs the daemon.")
	return d, nil
}

// station draws a station of the way.
func (d *drawing) station(y int, colour, name, what string) {
	d.rect(44, y, 392, 42, colour)
	d.text(56, y+26, "bold "+colour, name)
	d.text(424, y+26, "end soft", what)
}

var narration = regexp.MustCompile(`(?m)^#2 (.*)$`)

// narrated reads what was narrated of the second request. Ids, and the flags that the daemon adds,
// are left out.
func narrated(out string) (a asked) {
	for _, m := range narration.FindAllStringSubmatch(out, -1) {
		text := strings.TrimSpace(m[1])
		switch {
		case strings.HasPrefix(text, "host│"), strings.HasPrefix(text, "box │"):
			a.calls++
		case strings.HasPrefix(text, "box "):
			a.job = strings.Join(strings.Fields(text)[:2], " ")
		case strings.HasPrefix(text, "POST "):
			a.request = text
		case a.handler == "":
			a.handler = text
		}
	}
	return a
}
