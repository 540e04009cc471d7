package behave

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a single run may take, apart from the time in which a check looks at
// its container. It is a net for what hangs, wide enough for a host on which much else runs:
// no row holds or fails by it on a binary that goes on.
const patience = 3 * time.Minute

var errPatience = fmt.Errorf("nothing for %v", patience)

// run is a command line of a Box on its way. Its process is the first of a session, by
// which all that comes of it can be found later.
type run struct {
	*exec.Cmd
	box    *Box
	typed  string // the command line, as one would type it
	ctx    context.Context
	cancel context.CancelCauseFunc
	net    *time.Timer // cancels the run when it has lost patience
}

// prepare is a run that has not been started.
func (b *Box) prepare(name string, args ...string) run {
	if err := b.fillStore(args); err != nil {
		b.fault = fmt.Errorf("copy a store with the image tiny: %w", err)
	}
	typed := b.typed(append([]string{name}, args...)...)
	b.ran = append(b.ran, typed)
	ctx, cancel := context.WithCancelCause(b.ctx)
	net := time.AfterFunc(patience, func() { cancel(errPatience) })
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = b.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.Dir, "TERM=dumb", "STAGEBOX_SECRET=1", "BOX_ROOT=" + b.store()}
	cmd.ExtraFiles = make([]*os.File, 9-3+1)
	cmd.ExtraFiles[9-3] = b.forgotten
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Credential: b.credential}
	if b.group2 != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(b.group2.Fd())
	}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 15 * time.Second // for output that something else still holds open
	return run{cmd, b, typed, ctx, cancel, net}
}

func (r run) start() error {
	if err := r.Start(); err != nil {
		r.forget()
		return err
	}
	r.box.sessions = append(r.box.sessions, r.Process.Pid)
	r.box.place.sessions.begin(r.Process.Pid, r.box.Dir)
	return nil
}

// forget frees what watches over the run.
func (r run) forget() {
	r.net.Stop()
	r.cancel(nil)
}

func (r run) toItsEnd() Ended {
	var out, errs bytes.Buffer
	r.Stdout, r.Stderr = &out, &errs
	if err := r.start(); err != nil {
		return Ended{Err: err}
	}
	return r.ended(r.Wait(), out.String(), errs.String())
}

// Ended is how a run ended.
type Ended struct {
	Stdout, Stderr string
	Status         int            // as a shell has it: 128+n for signal n
	By             syscall.Signal // the signal that ended the binary itself, or 0
	Err            error          // why there is no status: it did not start, or did not end
	Command        string         // run, exec, …
}

// ended puts together what is known. err is that of Wait.
func (r run) ended(err error, stdout, stderr string) Ended {
	e := Ended{Stdout: stdout, Stderr: stderr, Status: -1, Command: r.Args[min(1, len(r.Args)-1)]}
	var exit *exec.ExitError
	if r.ctx.Err() != nil {
		err = fmt.Errorf("it does not end: %w", context.Cause(r.ctx))
	}
	r.forget()
	if err != nil && !errors.As(err, &exit) {
		e.Err = fmt.Errorf("%s: %w", r.typed, err)
		return e
	}
	e.Status = r.ProcessState.ExitCode()
	if state := r.ProcessState.Sys().(syscall.WaitStatus); state.Signaled() {
		e.By = state.Signal()
		e.Status = 128 + int(e.By)
	}
	return e
}

// Line is standard output without the newline at its end.
func (e Ended) Line() string { return strings.TrimSuffix(e.Stdout, "\n") }

func (e Ended) String() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	text := fmt.Sprintf("exit %d", e.Status)
	if e.Stdout != "" {
		text += ", printed " + short(e.Line())
	}
	if e.Stderr != "" {
		text += ", standard error " + short(strings.TrimSuffix(e.Stderr, "\n"))
	}
	return text
}

// short is text in quotes, without the middle of a long one.
func short(text string) string {
	const half = 150
	if len(text) <= 2*half {
		return strconv.Quote(text)
	}
	return strconv.Quote(text[:half]) + "…" + strconv.Quote(text[len(text)-half:])
}
