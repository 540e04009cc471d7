// Handlers for a command in a container that runs: it is made first, and then started.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/pty"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage09-daemon/commandline"
	"stagebox/stage09-daemon/report"
	"stagebox/stage09-daemon/rest"
)

// execInstance is a command in a container. It is forgotten when the daemon ends, or
// when the container is removed.
type execInstance struct {
	id        string
	container *Record
	request   commandline.Exec

	mutex    sync.Mutex
	started  bool
	exit     *int     // once it has ended
	terminal *os.File // the daemon's side of it
	size     unix.Winsize

	resizing sync.Mutex
	passedOn *os.File     // from box exec: each size that the command's own terminal has got
	has      unix.Winsize // the last of them

	job atomic.Pointer[job] // once it is started
}

func createExec(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	e := &execInstance{id: ids.New()}
	if err := r.Decode(&e.request); err != nil {
		return err
	}
	e.size.Row, e.size.Col = e.request.ConsoleSize[0], e.request.ConsoleSize[1]
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	e.container = c
	switch {
	case len(e.request.Cmd) == 0:
		return rest.Errorf(http.StatusBadRequest, "No exec command specified")
	case !c.isRunning():
		return rest.Errorf(http.StatusConflict, "container %s is not running", c.Name)
	case c.isPaused():
		return rest.Errorf(http.StatusConflict, "container %s is paused: unpause it first", c.Name)
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for id, other := range d.execs {
		if !exists(other.container.path()) {
			delete(d.execs, id)
		}
	}
	d.execs[e.id] = e
	d.emit("exec_create", c, map[string]string{"execID": e.id})
	return rest.Answer(w, http.StatusCreated, map[string]string{"Id": e.id})
}

func (d *daemon) findExec(id string) (*execInstance, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if e := d.execs[id]; e != nil {
		return e, nil
	}
	return nil, rest.Errorf(http.StatusNotFound, "No such exec instance: %s", id)
}

// startExec runs the command as a job, whose streams are the client's. The client may leave it.
func startExec(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	var body struct {
		Detach, Tty bool
		ConsoleSize [2]uint16
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	e, err := d.findExec(r.Name)
	if err != nil {
		return err
	}
	if !e.begin(body.ConsoleSize) {
		return rest.Errorf(http.StatusConflict, "exec %s was started already", e.id)
	}
	d.emit("exec_start", e.container, map[string]string{"execID": e.id})
	job := d.command(context.WithoutCancel(r.Context()), r, e.request.Words(e.container.ID)...)
	e.job.Store(job)
	if body.Detach {
		err := job.Start()
		go func() { d.endExec(e, errorOr(err, job.Wait)) }()
		return done(w, http.StatusOK, err)
	}
	v, err := hijack(w, r, e.request.Tty)
	if err != nil {
		d.endExec(e, err)
		return err
	}
	if e.request.Tty {
		err = e.runOnTerminal(job, v)
	} else {
		err = e.runOnPipes(job, v)
	}
	d.endExec(e, err)
	v.conn.Close() // only now does the client ask how it ended
	return nil
}

// runOnPipes gives the job pipes. Its own errors are for the client too.
func (e *execInstance) runOnPipes(job *job, v *clientConn) error {
	job.Stdout = v.out
	job.Stderr = v.err
	if e.request.AttachStdin {
		input, err := job.StdinPipe()
		if err != nil {
			return err
		}
		go func() { // until the client has no more to say
			io.Copy(input, v.in)
			input.Close()
		}()
	}
	return errorOr(job.Start(), job.Wait)
}

// runOnTerminal gives the job a terminal that resizeExec finds. box exec says on passedOn when the
// command's own one has the size of it.
func (e *execInstance) runOnTerminal(job *job, v *clientConn) error {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ours.Close()
	defer theirs.Close()
	job.ExtraFiles = []*os.File{nil, theirs} // 3 is for box exec's own use
	job.Env = append(job.Env, pty.SizesVariable+"=4")
	return job.runOnTerminal(v.out, func(terminal *os.File) {
		e.mutex.Lock()
		defer e.mutex.Unlock()
		e.terminal, e.passedOn = terminal, ours
		pty.SetSize(terminal, &e.size)
		go io.Copy(terminal, v.in)
	})
}

// runOnTerminal gives the job a terminal (pty(7)). It calls opened with the other side, the master,
// to which the daemon writes what is typed.
func (j *job) runOnTerminal(out io.Writer, opened func(ours *os.File)) error {
	ours, theirs, err := pty.Open()
	if err != nil {
		return err
	}
	defer ours.Close()
	j.Stdin, j.Stdout, j.Stderr = theirs, theirs, theirs
	j.SysProcAttr.Setctty = true
	opened(ours)
	if err := errors.Join(j.Start(), theirs.Close()); err != nil {
		return err
	}
	io.Copy(out, ours) // ends with EIO, when no process has the other side
	return j.Wait()
}

// begin reports whether the command is to be started: once. A size may be given for its terminal.
func (e *execInstance) begin(size [2]uint16) bool {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.started {
		return false
	}
	e.started = true
	if size != [2]uint16{} {
		e.size = unix.Winsize{Row: size[0], Col: size[1]}
	}
	return true
}

// command is the process of the command: the child of the job, once it is another program. 0
// before that, and when it has ended.
func (j *job) command() int {
	if j == nil || j.pid.Load() == 0 {
		return 0
	}
	process := fmt.Sprintf("/proc/%d/", j.pid.Load())
	box, _ := os.Readlink(process + "exe") // "" of a process that has ended, as below
	lists, _ := filepath.Glob(process + "task/*/children")
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(children)) {
			if file, _ := os.Readlink("/proc/" + child + "/exe"); file != "" && file != box {
				pid, _ := strconv.Atoi(child)
				return pid
			}
		}
	}
	return 0
}

// endExec keeps how a command has ended.
func (d *daemon) endExec(e *execInstance, err error) {
	status := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		status = 126
	}
	e.mutex.Lock()
	e.exit, e.terminal = &status, nil
	e.mutex.Unlock()
	about := map[string]string{"execID": e.id, "exitCode": strconv.Itoa(status)}
	d.emit("exec_die", e.container, about)
}

func resizeExec(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	size, err := sizeIn(r)
	if err != nil {
		return err
	}
	e, err := d.findExec(r.Name)
	if err != nil {
		return err
	}
	return done(w, http.StatusOK, e.resize(size))
}

// resize gives the command's terminal a size, and waits until it has it. One that is yet to be made
// begins with it.
func (e *execInstance) resize(size *unix.Winsize) error {
	e.resizing.Lock()
	defer e.resizing.Unlock()
	e.mutex.Lock()
	e.size = *size
	terminal, from := e.terminal, e.passedOn
	e.mutex.Unlock()
	if terminal == nil {
		return nil
	}
	err := pty.SetSize(terminal, size) // or the command has ended
	for e.has != *size && err == nil {
		_, err = fmt.Fscanln(from, &e.has.Row, &e.has.Col)
	}
	return nil
}

// sizeIn is the size of a terminal that a request gives.
func sizeIn(r *rest.Request) (*unix.Winsize, error) {
	height, errHeight := strconv.ParseUint(r.Param("h"), 10, 16)
	width, errWidth := strconv.ParseUint(r.Param("w"), 10, 16)
	if err := errors.Join(errHeight, errWidth); err != nil {
		return nil, rest.Errorf(http.StatusBadRequest, "resize: %v", err)
	}
	return &unix.Winsize{Row: uint16(height), Col: uint16(width)}, nil
}

func inspectExec(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	e, err := d.findExec(r.Name)
	if err != nil {
		return err
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	pid := 0
	if e.exit == nil {
		pid = e.job.Load().command()
	}
	answer := report.Exec(e.id, e.container.ID, &e.request, e.started, e.exit, pid)
	return rest.Answer(w, http.StatusOK, answer)
}
