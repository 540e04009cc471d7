// A container that is left running needs a process that keeps what it prints and records how it
// ended: its monitor. That is box itself, started once more in a session of its own, away from
// every terminal. It inherits the lock on the container.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/attach"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/journal"
	"stagebox/stage04-unionfs/state"
)

// detach starts the monitor and waits until the container runs. If it cannot run, the monitor
// itself says why, on the caller's standard error.
func (r *Record) detach() error {
	if err := r.forgetStopped(); err != nil {
		return errors.Join(err, r.release())
	}
	monitor := exec.Command("/proc/self/exe", "start", "--monitor", "--root", r.store.dir(), r.ID)
	if r.Run.Explain != "" {
		monitor.Args = append(monitor.Args, "--explain="+string(r.Run.Explain))
	}
	if r.hold {
		monitor.Args, monitor.Stdin = append(monitor.Args, "--hold"), cmp.Or(r.held, os.Stdin)
	}
	monitor.ExtraFiles = []*os.File{r.lock}
	monitor.Stderr, monitor.Dir = os.Stderr, "/"
	return errors.Join(attach.StartMonitor(monitor), r.lock.Close())
}

// monitor runs in the new process, and takes the two files that detach has passed on.
func (r *Record) monitor() error {
	if err := sealUnless(r.Run.ownsPIDs()); err != nil {
		return err // later, the files would be closed by execve
	}
	r.lock, r.ready = os.NewFile(3, r.livePath()), os.NewFile(monitorReady, "ready")
	unix.CloseOnExec(3)
	unix.CloseOnExec(monitorReady)
	r.Run.noInput = true // a container with -i that was created, and not run
	if again := r.State.Status == "restarting"; again && r.isStopped() {
		return r.endRestarts(nil)
	} else if again {
		r.State.Status, r.Kept, r.hold = "exited", true, false
	} else {
		r.State.RestartCount, r.State.Delay = 0, 0
	}
	if err := r.Run.Run(); r.State.Status != "restarting" {
		return err
	}
	return r.restart()
}

// monitorReady is the descriptor on which a monitor reports that the container runs.
const monitorReady = 4

// announce reports to detach that the container runs, and closes the caller's files.
func (r *Record) announce() error {
	if r.log != nil && !r.Run.TTY { // else box itself writes what the terminal shows
		defer r.log.CloseEnds()
	}
	if r.ready == nil {
		return nil
	}
	log := int(r.errors.Fd()) // box writes its own errors there too
	if err := unix.Dup2(log, 2); err != nil {
		return fmt.Errorf("dup2(%d, 2): %w", log, err)
	}
	if _, err := r.ready.Write([]byte("!")); err != nil {
		return fmt.Errorf("report that the container is running: %w", err)
	}
	return r.ready.Close()
}

// openLog has what the process prints go through box: into the log, to all attached clients, and
// in the foreground to the caller. With --rm in the foreground there is no log: the process keeps
// the caller's own files.
func (r *Record) openLog(p *Plan) (err error) {
	if r.Run.output != nil {
		p.stdio = [3]int{int(r.Run.input.Fd()), int(r.Run.output.Fd()), int(r.Run.output.Fd())}
		return nil
	}
	if r.Run.DryRun || r.Run.Rm && r.ready == nil {
		return nil
	}
	if r.log, err = journal.Create(r.path("log")); err != nil {
		return fmt.Errorf("%w; remove it, and box begins a new log", err)
	}
	if r.hub, err = attach.Listen(r.path()); err != nil {
		return err
	}
	r.log.To = r.hub.Output
	if r.hold {
		defer func() { err = errors.Join(err, attach.AwaitClients(os.Stdin)) }()
	}
	if r.ready == nil { // in the foreground, the caller is the first client
		p.Broken = r.hub.Caller()
	}
	if r.Run.TTY {
		return r.openTerminalLog(p)
	}
	return r.openPipeLog(p)
}

// openTerminalLog has the log record what box reads from the container's terminal. What clients
// type goes to that terminal, and so does what the caller types until the detach keys.
func (r *Record) openTerminalLog(p *Plan) (err error) {
	if p.passInput, err = r.Run.Input(r.hub.LeaveCaller); err == nil {
		p.output, err = r.log.Pipe("stdout")
	}
	p.opened = r.hub.Input
	r.errors = p.output
	return err
}

// redirect has the terminal lead where the plan says, for example into the log.
func (c *console) redirect(p *Plan) {
	c.Output, c.Input, c.opened = p.output, p.passInput, p.opened
	if p.Broken == nil {
		c.Broken = make(chan struct{})
		p.Broken = c.Broken
	}
}

// openPipeLog gives the process a pipe to the log as standard output, and another as standard
// error.
func (r *Record) openPipeLog(p *Plan) error {
	for i, stream := range []string{"stdout", "stderr"} {
		end, err := r.log.Pipe(stream)
		if err != nil {
			return err
		}
		p.stdio[1+i], r.errors = int(end.Fd()), end
	}
	return r.openInput(p)
}

// openInput makes a pipe for those who are attached to write to, if the process is to have an
// input and it is not the caller's. While none of them is there, a read waits: it finds no end.
func (r *Record) openInput(p *Plan) error {
	if !r.Run.Interactive || r.ready == nil && !r.Run.noInput {
		r.hub.Input(nil)
		return nil
	}
	read, write, err := r.log.Input()
	if err != nil {
		return err
	}
	p.stdio[0] = int(read.Fd())
	r.hub.Input(write)
	return nil
}

// closeLog waits until everything that was printed is written. It does not wait for a process
// that the container has left on the host.
func (r *Record) closeLog() error {
	if r.log == nil {
		return nil
	}
	if (r.ready != nil || r.Run.Detachable) && r.State.Status == "running" {
		if err := attach.Silence(2); err != nil { // box's own errors: the last writer
			return err
		}
	}
	err := r.log.Close()
	if r.hub != nil {
		err = errors.Join(err, r.hub.Close())
	}
	return err
}

// errEnded means that there is no process to send a signal to.
var errEnded = fault.Conflict.New("is not running")

// notRunning is errEnded of this container, and how it gets a process.
func (r *Record) notRunning() error {
	if r.State.Status == "restarting" {
		return fmt.Errorf("container %s is restarting and %w now: wait until it runs, or end its "+
			"restarts with box stop %s", r.Name, errEnded, r.Name)
	}
	return fmt.Errorf("container %s %w: box start %s starts it", r.Name, errEnded, r.Name)
}

// signal sends a signal to the container's first process, and to no other that has its number:
// the process is opened (pidfd_open(2)) before the lock proves that it still runs.
func (r *Record) signal(s unix.Signal) error {
	fd, err := unix.PidfdOpen(r.State.PID, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	if err != nil || !r.isRunning() {
		return r.notRunning()
	}
	if err := unix.PidfdSendSignal(fd, s, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("pidfd_send_signal(%d, %s): %w", r.State.PID, unix.SignalName(s), err)
	}
	return nil
}

// waitUntilEnd waits for the container and returns its exit status.
func (r *Record) waitUntilEnd() (status int, err error) {
	wait, err := r.watchEnd()
	if err != nil {
		return 0, err
	}
	return wait()
}

// watchEnd returns a function that waits for the end of the container as it runs now, and returns
// its exit status: the box that stays with it writes it into the locked file and then releases
// the lock.
func (r *Record) watchEnd() (wait func() (int, error), err error) {
	file, err := os.Open(r.livePath())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	now, err := r.store.known(r.ID) // now that its lock is open
	if err != nil {
		return nil, err
	}
	return func() (int, error) {
		defer file.Close()
		if file == nil || !now.State.isLive() {
			return now.State.ExitCode, nil
		}
		return statusIn(file)
	}, nil
}

// statusIn waits until the box that stays with a container has released its lock on a file, and
// returns the exit status that it has written there.
func statusIn(file *os.File) (int, error) {
	if err := state.Await(context.Background(), file, state.Shared); err != nil {
		return 0, err
	}
	status := 128 + int(unix.SIGKILL) // box was killed too
	if _, err := fmt.Fscan(file, &status); err != nil && err != io.EOF {
		return 0, err
	}
	return status, nil
}

// stopTimeout is how many seconds a container has to end, if it was not given another number.
const stopTimeout = 10

// stop sends the signal request (0: SIGTERM), waits seconds (nil: the container's --stop-timeout,
// or 10), and then kills the container. If seconds is nil and its first process neither handles nor
// blocks the signal, the kernel would drop it (pid_namespaces(7)), so stop kills at once.
func (r *Record) stop(request unix.Signal, seconds *int) error {
	if !r.isLive() {
		return nil
	}
	r, err := r.noteStopped()
	if err != nil || !r.isRunning() {
		return err
	}
	if request == 0 {
		request = r.Run.stopSignal()
	}
	timeout := stopTimeout
	if given := cmp.Or(seconds, r.Run.StopTimeout); given != nil {
		timeout = *given
	}
	if seconds == nil && !r.Run.Init && r.Run.ownsPIDs() && plan.Unhandled(r.State.PID, request) {
		timeout = 0
	}
	if timeout != 0 {
		if err := r.signal(request); err != nil && !errors.Is(err, errEnded) {
			return err
		}
		if state.FreedWithin(r.livePath(), time.Duration(timeout)*time.Second) {
			return nil
		}
	}
	return r.kill()
}

// kill ends the container with SIGKILL.
func (r *Record) kill() error {
	r, err := r.noteStopped()
	if err != nil {
		return err
	}
	if err := r.signal(unix.SIGKILL); err != nil && !errors.Is(err, errEnded) {
		return err
	}
	return r.awaitKill()
}

// awaitKill waits for the end of a container that was killed.
func (r *Record) awaitKill() error {
	if !state.FreedWithin(r.livePath(), 10*time.Second) {
		return fmt.Errorf("container %s was killed and has not ended: "+
			"a process in it waits for something that cannot be interrupted", r.Name)
	}
	return nil
}
