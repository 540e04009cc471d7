// A job is a box command in a process of its own. The daemon translates a request into a command
// line, starts it, and reads what it prints. So no container is a child of the daemon: none ends
// with it, and its memory does not grow with their number. Each job is a line to try in a shell.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/fault"
	"stagebox/stage09-daemon/report"
	"stagebox/stage09-daemon/rest"
)

// job is a box command that runs for one request.
type job struct {
	*exec.Cmd
	errors bytes.Buffer // what it prints on standard error, its narration left out
	intro  any          // what precedes its messages
	hint   string       // what follows its error, in messages
	kind   fault.Kind   // of its error
	pid    atomic.Int64 // once it has begun
}

// Start starts the job.
func (j *job) Start() error {
	err := j.Cmd.Start()
	if err == nil {
		j.pid.Store(int64(j.Process.Pid))
	}
	return err
}

// program is what jobs run: this very box.
var program = "/proc/self/exe"

// command prepares a job. It gets SIGTERM when the context ends. Of the daemon's environment it
// has what a program needs, and no more: -e NAME must not hand it to a client.
func (d *daemon) command(ctx context.Context, r *rest.Request, args ...string) *job {
	if d.explain && args[0] == "start" {
		args = append([]string{"start", "--explain"}, args[1:]...)
	}
	j := &job{Cmd: exec.CommandContext(ctx, program, args...)}
	j.Env = []string{"BOX_ROOT=" + d.dir(), "PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}
	j.Dir = "/"
	j.Stderr = &rest.Lines{Do: func(line string) { d.splitStderr(r, j, line) }}
	j.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	j.Cancel = func() error { return j.Process.Signal(unix.SIGTERM) }
	d.narrate(r, 2, "box "+strings.Join(args, " "))
	return j
}

// splitStderr keeps a line of a job's standard error, unless the line is part of its narration, or
// has the kind of the error.
func (d *daemon) splitStderr(r *rest.Request, j *job, line string) {
	if j.isKind(line) {
		return
	}
	for _, side := range []string{"host│", "box │", "── "} {
		if d.explain && strings.HasPrefix(line, side) {
			d.narrate(r, 3, line)
			return
		}
	}
	fmt.Fprintln(&j.errors, line)
}

// run runs a command to its end, whether or not the client still waits, and returns its output.
func (d *daemon) run(r *rest.Request, args ...string) (string, error) {
	return d.command(context.WithoutCancel(r.Context()), r, args...).output()
}

// output runs a job to its end, and returns what it has printed.
func (j *job) output() (string, error) {
	var out bytes.Buffer
	j.Stdout = &out
	j.marked()
	err := j.Run()
	return strings.TrimSuffix(out.String(), "\n"), j.failure(err)
}

// marked has the job report the kind of its error, which failure has then.
func (j *job) marked() { j.Env = append(j.Env, fault.Variable+"=1") }

// isKind takes a line that has the kind of the job's error.
func (j *job) isKind(line string) bool {
	kind, is := fault.Marked(line)
	if is {
		j.kind = kind
	}
	return is
}

// failure is the error of a job that has ended: its last words.
func (j *job) failure(err error) error {
	if lines, ok := j.Stderr.(*rest.Lines); ok {
		lines.Close()
	}
	if exit := (*exec.ExitError)(nil); err == nil || !errors.As(err, &exit) {
		return rest.NotStarted(err)
	}
	text := strings.TrimSpace(j.errors.String())
	if text == "" {
		return fmt.Errorf("box %s: %w", strings.Join(j.Args[1:], " "), err)
	}
	return j.kind.New(strings.TrimPrefix(text, "box: "))
}

// statuses are those of the kinds of errors.
var statuses = map[fault.Kind]int{
	fault.Invalid:   http.StatusBadRequest,
	fault.NotFound:  http.StatusNotFound,
	fault.Conflict:  http.StatusConflict,
	fault.Forbidden: http.StatusForbidden,
	fault.Other:     http.StatusInternalServerError,
}

// withStatus gives an error its status. One that begins with a flag is about its value.
func withStatus(err error) error {
	if errors.As(err, new(rest.Problem)) {
		return err
	}
	text := strings.TrimPrefix(err.Error(), "box: ")
	if strings.HasPrefix(text, "--") {
		err = fault.Invalid.Wrap(err)
	}
	return rest.Problem{Status: statuses[fault.Of(err)], Text: report.Known(text)}
}

// find finds a container by its name or id, or the beginning of one.
func (d *daemon) find(text string) (*Record, error) {
	c, err := d.Store.find(text)
	if errors.Is(err, errNoContainer) {
		err = rest.Errorf(http.StatusNotFound, "No such container: %s", text)
	}
	return c, err
}

// done answers without a body.
func done(w http.ResponseWriter, status int, err error) error {
	if err == nil {
		w.WriteHeader(status)
	}
	return err
}

// narrateRequest prints a request and its handler.
func (d *daemon) narrateRequest(r *rest.Request, to *route) {
	if d.explain {
		r.Number = d.narrated.Add(1)
		d.narrate(r, 0, r.Method+" "+r.URL.RequestURI())
		d.narrate(r, 1, to.handle.name())
	}
}

// narrate prints a line below the request that it belongs to.
func (d *daemon) narrate(r *rest.Request, depth int, line string) {
	if d.explain {
		d.print.Lock()
		defer d.print.Unlock()
		fmt.Fprintf(os.Stderr, "#%d%s %s\n", r.Number, strings.Repeat("  ", depth), line)
	}
}
