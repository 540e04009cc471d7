// A container that is left running needs a process that keeps what it prints and records how it
// ended: its monitor. That is box itself, started once more in a session of its own, away from
// every terminal. It inherits the lock on the container.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/journal"
	"stagebox/stage04-unionfs/state"
)

// detach starts the monitor and waits until the container runs. If it cannot run, the monitor
// itself says why, on the caller's standard error.
func (r *Record) detach() error {
	ready, report, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	monitor := exec.Command("/proc/self/exe", "start", "--monitor", "--root", r.store.dir(), r.ID)
	monitor.ExtraFiles = []*os.File{r.lock, report}
	monitor.Stderr, monitor.Dir = os.Stderr, "/"
	monitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = monitor.Start()
	if err = errors.Join(err, report.Close(), r.lock.Close()); err != nil {
		return fmt.Errorf("the monitor of the container: %w", err)
	}
	if n, _ := ready.Read(make([]byte, 1)); n == 1 {
		return nil
	}
	var exit *exec.ExitError
	if err := monitor.Wait(); !errors.As(err, &exit) || !exit.Exited() {
		return fmt.Errorf("the monitor of the container has died: %v", err)
	}
	return plan.ExitStatus(exit.ExitCode())
}

// monitor runs in the new process, and takes the two files that detach has passed on.
func (r *Record) monitor() error {
	r.lock, r.ready = os.NewFile(3, r.livePath()), os.NewFile(4, "ready")
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	return r.Run.Run()
}

// announce reports to detach that the container runs, and closes the caller's files.
func (r *Record) announce() error {
	if r.ready == nil {
		return nil
	}
	errors := int(r.errors.Fd()) // box writes its own errors to the log too
	if err := unix.Dup2(errors, 2); err != nil {
		return fmt.Errorf("dup2(%d, 2): %w", errors, err)
	}
	if !r.Run.TTY { // else box itself writes what the terminal shows
		r.log.CloseEnds()
	}
	if _, err := r.ready.Write([]byte("!")); err != nil {
		return fmt.Errorf("nobody waits for the container: %w", err)
	}
	return r.ready.Close()
}

// openLog makes the process print into the log, if this is its monitor.
func (r *Record) openLog(p *Plan) (err error) {
	if r.Run.output != nil {
		p.stdio[1], p.stdio[2] = int(r.Run.output.Fd()), int(r.Run.output.Fd())
	}
	if r.ready == nil {
		return nil
	}
	if r.log, err = journal.Create(r.path("log")); err != nil {
		return err
	}
	if r.Run.TTY {
		p.output, err = r.log.Pipe("stdout")
		r.errors = p.output
		return err
	}
	if r.Run.Interactive { // an input that never has anything to read
		input, err := r.log.Input()
		if err != nil {
			return err
		}
		p.stdio[0] = int(input.Fd())
	}
	for i, stream := range []string{"stdout", "stderr"} {
		end, err := r.log.Pipe(stream)
		if err != nil {
			return err
		}
		p.stdio[1+i], r.errors = int(end.Fd()), end
	}
	return nil
}

// closeLog waits until everything that was printed is written. It does not wait for a process
// that the container has left on the host.
func (r *Record) closeLog() error {
	if r.log == nil {
		return nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err == nil {
		err = unix.Dup2(int(null.Fd()), 2) // box's own errors: the last writer
	}
	if err != nil {
		return err
	}
	return r.log.Close()
}

// errEnded means that there is no process to send a signal to.
var errEnded = errors.New("does not run")

// signal sends a signal to the container's first process, and to no other that has its number:
// the process is opened (pidfd_open(2)) before the lock proves that it still runs.
func (r *Record) signal(s unix.Signal) error {
	fd, err := unix.PidfdOpen(r.State.PID, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	if err != nil || !r.isRunning() {
		return fmt.Errorf("container %s %w: box start %s starts it", r.Name, errEnded, r.Name)
	}
	if err := unix.PidfdSendSignal(fd, s, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("pidfd_send_signal(%d, %s): %w", r.State.PID, unix.SignalName(s), err)
	}
	return nil
}

// waitUntilEnd waits for the container and returns its exit status: the box that stays with it
// writes it into the locked file and then releases the lock.
func (r *Record) waitUntilEnd() (string, error) {
	file, err := os.Open(r.livePath())
	if err == nil {
		defer file.Close()
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	now, err := r.store.known(r.ID) // now that its lock is open
	if err != nil {
		return "", err
	}
	if file == nil || now.State.Status != "running" {
		return fmt.Sprint(now.State.ExitCode), nil
	}
	if err := state.Await(context.Background(), file, state.Shared); err != nil {
		return "", err
	}
	status, err := io.ReadAll(file)
	if len(status) == 0 { // box was killed too
		return fmt.Sprint(128 + int(unix.SIGKILL)), err
	}
	return strings.TrimSpace(string(status)), err
}

// hasEndedWithin waits, and reports whether the container ended within some time.
func (r *Record) hasEndedWithin(timeout time.Duration) bool {
	for end := time.Now().Add(timeout); state.Held(r.livePath()); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// stop asks the container to end, and kills it after the timeout. A first process without a
// handler for the signal never gets it (pid_namespaces(7)): it is killed at once.
func (r *Record) stop(timeout time.Duration) error {
	if !r.isRunning() {
		return nil
	}
	request := r.Run.stopSignal()
	if !r.Run.Init && plan.Unhandled(r.State.PID, request) {
		timeout = 0
	}
	if timeout > 0 {
		if err := r.signal(request); err != nil && !errors.Is(err, errEnded) {
			return err
		}
		if r.hasEndedWithin(timeout) {
			return nil
		}
	}
	return r.kill()
}

// kill ends the container with SIGKILL.
func (r *Record) kill() error {
	if err := r.signal(unix.SIGKILL); err != nil && !errors.Is(err, errEnded) {
		return err
	}
	if !r.hasEndedWithin(10 * time.Second) {
		return fmt.Errorf("container %s was killed and has not ended: "+
			"a process in it waits for something that cannot be interrupted", r.Name)
	}
	return nil
}
