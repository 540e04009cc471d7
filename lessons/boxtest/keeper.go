package boxtest

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Program is a program to keep: to run, and to clean up after.
type Program struct {
	Path     string
	Args     []string      // with the name of the program first
	Env      []string      // nil is this process's own
	Variable string        // a variable of its environment that names its TMPDIR, or ""
	Patience time.Duration // how long the processes that it leaves may take to end by themselves

	// Gentle asks the processes that an interrupted program leaves to end, with SIGTERM,
	// before they are killed: they may have something to clean up.
	Gentle bool
}

// Ended is how a program ended.
type Ended struct {
	Status      int    // as a shell has it: 128+n for signal n
	Interrupted bool   // this process got a signal to end
	Left        string // command lines of the processes that had to be killed although it ended well
}

// Keep runs a program with the standard files of this process and with a TMPDIR of its own.
// It is the subreaper of all that the program starts (PR_SET_CHILD_SUBREAPER, prctl(2)): a
// process whose parent has ended becomes Keep's child, in whatever session or namespace it
// is. So the processes that are left in the end are exactly the descendants of this one.
func Keep(p Program) (ended Ended, err error) {
	runtime.LockOSThread() // the program dies with the thread that started it
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return ended, fmt.Errorf("prctl(PR_SET_CHILD_SUBREAPER): %w", err)
	}
	// A short name: the path of a socket below it may have 107 bytes, unix(7).
	dir, err := os.MkdirTemp("", "box-")
	if err != nil {
		return ended, err
	}
	defer func() { err = errors.Join(err, removeAll(dir), removeDeadGroups()) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		return ended, err
	}
	return p.run(dir)
}

// run starts the program and returns when no process of it is left.
func (p Program) run(dir string) (ended Ended, err error) {
	var interrupted atomic.Int32 // by which signal
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer signal.Stop(signals)
	process, err := p.start(dir)
	if err != nil {
		return ended, err
	}
	go pass(signals, process, &interrupted)
	status, err := reapUntil(process.Pid)
	if err != nil {
		return ended, err
	}
	if ended.Status = status.ExitStatus(); status.Signaled() {
		ended.Status = 128 + int(status.Signal())
	}
	if by := interrupted.Load(); by != 0 {
		ended.Interrupted, ended.Status = true, 128+int(by)
	}
	if ended.Status != 0 && !p.Gentle {
		p.Patience = 0 // what it would have ended, it has not
	}
	left, err := endChildren(p.Patience, ended.Interrupted && p.Gentle)
	if ended.Status == 0 {
		ended.Left = left
	}
	return ended, err
}

func (p Program) start(dir string) (*os.Process, error) {
	env := p.Env
	if env == nil {
		env = os.Environ()
	}
	env = with(env, "TMPDIR", dir)
	if p.Variable != "" {
		env = with(env, p.Variable, dir)
	}
	return os.StartProcess(p.Path, p.Args, &os.ProcAttr{
		Env:   env,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
}

// with is an environment with a variable set. Of two with one name some programs take the
// first and some the last, so only one stays.
func with(env []string, name, value string) []string {
	others := slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, name+"=") })
	return append(others, name+"="+value)
}

// pass ends the program when this process gets a signal to end, or when its parent has gone, which
// is how it learns that go test was killed. SIGTERM does it where a shell has had the program
// ignore SIGINT. SIGQUIT is not an interruption: go test sends it at the end of its time, and the
// tests print where they are.
func pass(signals <-chan os.Signal, process *os.Process, interrupted *atomic.Int32) {
	parent, tick := os.Getppid(), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	for {
		by := unix.SIGTERM
		select {
		case s := <-signals:
			by = s.(unix.Signal)
		case <-tick.C:
			if os.Getppid() == parent {
				continue
			}
			parent = os.Getppid()
		}
		if by == unix.SIGQUIT {
			process.Signal(by)
			continue
		}
		interrupted.CompareAndSwap(0, int32(by))
		process.Signal(unix.SIGTERM) // it may have ended
	}
}

// reapUntil waits for children, its own and inherited ones, until the one of this number
// has ended.
func reapUntil(pid int) (status unix.WaitStatus, err error) {
	for {
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, fmt.Errorf("wait4: %w", err)
		case got == pid:
			return status, nil
		}
	}
}
