// A job is a box command in a process of its own. The daemon translates a request into a command
// line, starts it, and reads what it prints. So no container is a child of the daemon: none ends
// with it, and its memory does not grow with their number. Each job is a line to try in a shell.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"stagebox/stage09-daemon/report"
	"stagebox/stage09-daemon/rest"
)

// job is a box command that runs for one request.
type job struct {
	*exec.Cmd
	errors bytes.Buffer // what it prints on standard error, its narration left out
	intro  any          // what precedes its messages
	hint   string       // what follows its error, in messages
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
	j.Stderr = &rest.Lines{Do: func(line string) { d.splitStderr(r, &j.errors, line) }}
	j.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	j.Cancel = func() error { return j.Process.Signal(unix.SIGTERM) }
	d.narrate(r, 2, "box "+strings.Join(args, " "))
	return j
}

// splitStderr keeps a line of a job's standard error, unless the line is part of its narration.
func (d *daemon) splitStderr(r *rest.Request, errors io.Writer, line string) {
	for _, side := range []string{"host│", "box │", "── "} {
		if d.explain && strings.HasPrefix(line, side) {
			d.narrate(r, 3, line)
			return
		}
	}
	fmt.Fprintln(errors, line)
}

// run runs a command to its end, whether or not the client still waits, and returns its output.
func (d *daemon) run(r *rest.Request, args ...string) (string, error) {
	return d.command(context.WithoutCancel(r.Context()), r, args...).output()
}

// output runs a job to its end, and returns what it has printed.
func (j *job) output() (string, error) {
	var out bytes.Buffer
	j.Stdout = &out
	err := j.Run()
	return strings.TrimSuffix(out.String(), "\n"), j.failure(err)
}

// failure is the error of a job that has ended: its last words.
func (j *job) failure(err error) error {
	if lines, ok := j.Stderr.(*rest.Lines); ok {
		lines.Close()
	}
	if exit := (*exec.ExitError)(nil); err == nil || !errors.As(err, &exit) {
		return err
	}
	text := strings.TrimSpace(j.errors.String())
	if text == "" {
		return fmt.Errorf("box %s: %w", strings.Join(j.Args[1:], " "), err)
	}
	return errors.New(strings.TrimPrefix(text, "box: "))
}

// statusWords are the statuses of errors, by words in them. The first that fits counts.
var statusWords = []struct {
	words  string
	status int
}{
	{"no such signal", http.StatusBadRequest},
	{"no such policy", http.StatusBadRequest},
	{"execve(", http.StatusBadRequest},
	{"faccessat(", http.StatusBadRequest},
	{"no such ", http.StatusNotFound},
	{"only root may", http.StatusForbidden},
	{"has this name", http.StatusConflict},
	{"another box is using it", http.StatusConflict},
	{"belongs to container", http.StatusConflict},
	{"is in container", http.StatusConflict},
	{"stop or disconnect its containers first", http.StatusForbidden},
	{"exists already", http.StatusConflict},
	{"is on it already", http.StatusForbidden},
	{"overlaps with", http.StatusForbidden},
	{"is not on it", http.StatusNotFound},
	{"is not running", http.StatusConflict},
	{"is paused", http.StatusConflict},
	{"does not say what to run", http.StatusBadRequest},
	{"--", http.StatusBadRequest},
	{"a name is made of", http.StatusBadRequest},
	{"a name has letters", http.StatusBadRequest},
	{"give a path after the colon", http.StatusBadRequest},
	{"give OS/ARCH", http.StatusBadRequest},
}

// withStatus gives an error its status.
func withStatus(err error) error {
	text := strings.TrimPrefix(err.Error(), "box: ")
	if errors.As(err, new(rest.Problem)) {
		return err
	}
	for _, s := range statusWords {
		if strings.Contains(text, s.words) {
			return rest.Problem{Status: s.status, Text: report.Known(text)}
		}
	}
	return rest.Problem{Status: http.StatusInternalServerError, Text: report.Known(text)}
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
