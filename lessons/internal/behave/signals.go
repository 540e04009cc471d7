package behave

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The rows about signals sent to the binary. The command is process 1, to which the kernel
// gives no signal that it has no handler for; that is the binary's to mend.

var signalRows = []Row{
	aboutSignal("SIGTERM ends a command that has no handler: 143", unix.SIGTERM, noHandler, 143),
	aboutSignal("SIGTERM is passed to a command that has a handler", unix.SIGTERM, handles("TERM"), 7),
	aboutSignal("SIGINT ends a command that has no handler: 130", unix.SIGINT, noHandler, 130),
	aboutSignal("SIGINT is passed to a command that has a handler", unix.SIGINT, handles("INT"), 7),
	{
		Name: "a binary that was started to ignore SIGHUP, as by nohup, goes on ignoring it", Since: 1,
		Check:  ignoresHangup,
		Broken: `exec env --default-signal=HUP "$BOX" "$@"`,
	},
	{
		Name: "when the binary is killed, no process is left inside", Since: 1,
		Check:  nobodyOutlives,
		Broken: detached,
	},
}

// handler is a script that ends with 7 when it gets a signal: also one that comes before it
// waits, which a shell's read or wait would not notice.
func handler(signal string) []string {
	return []string{"run", "/bin/sh", "-c", `trap "exit 7" ` + signal + `; echo ready; i=0; while [ $((i += 1)) -lt 3000 ]; do sleep 0.1; done`}
}

func noHandler(b *Box) (*Container, error) { return b.Cat("run", "/bin/cat") }

func handles(signal string) func(*Box) (*Container, error) {
	return func(b *Box) (*Container, error) { return b.Start(handler(signal)...) }
}

func aboutSignal(name string, s syscall.Signal, start func(*Box) (*Container, error), expected int) Row {
	return Row{Name: name, Since: 1, Broken: deaf, Check: func(b *Box) Seen {
		return status(expected, b.signalled(s, start, func(c *Container) error { return c.Signal(s) }))
	}}
}

// signalled starts a container, sends it a signal in some way, and waits for its end. It
// tries again when the signal has ended the binary itself, which may need a moment after
// the start until it passes signals on: each time a longer one.
func (b *Box) signalled(s syscall.Signal, start func(*Box) (*Container, error), send func(*Container) error) Ended {
	var e Ended
	for try := 0; try == 0 || try < 9 && e.By == s; try++ {
		c, err := start(b)
		if err == nil {
			time.Sleep((1<<try - 1) * 5 * time.Millisecond)
			err = send(c)
		}
		if err != nil {
			return Ended{Err: err}
		}
		e = c.Wait()
	}
	return e
}

// ignoresHangup asks the kernel what the binary and its command ignore, and then hangs up.
func ignoresHangup(b *Box) Seen {
	box := b.path
	b.path = filepath.Join(b.Dir, "nohup")
	err := writeProgram(b.path, broken(box, `trap "" HUP; exec "$BOX" "$@"`))
	var c *Container
	if err == nil {
		c, err = b.Cat("run", "/bin/cat")
	}
	if b.path = box; err != nil {
		return failed(err)
	}
	var saw []string
	for _, process := range []string{itoa(c.Process.Pid), c.pid()} {
		ignored, _ := strconv.ParseUint(b.status(process, "SigIgn"), 16, 64)
		saw = append(saw, fmt.Sprint(ignored>>(unix.SIGHUP-1)&1))
	}
	if err := c.Signal(unix.SIGHUP); err != nil {
		return failed(err)
	}
	return all(same("1 1", strings.Join(saw, " ")), status(0, c.Stop()))
}

// nobodyOutlives has the command start a child of its own.
func nobodyOutlives(b *Box) Seen {
	c, err := b.Start("run", "/bin/sh", "-c", "sleep 1000 & echo ready; read line")
	if err != nil {
		return failed(err)
	}
	return outlived(c)
}

// outlived kills the binary and sees who lives on.
func outlived(c *Container) Seen {
	watched, err := c.watch()
	if err == nil {
		err = c.Signal(unix.SIGKILL)
	}
	if err != nil {
		return failed(err)
	}
	alive, err := c.survivors(watched)
	for _, p := range watched {
		err = errors.Join(err, p.Close())
	}
	c.reap() // not before: it ends the standard input, for which they may be waiting
	if err != nil {
		return failed(err)
	}
	return same(fmt.Sprintf("0 of %d processes alive", len(watched)), fmt.Sprintf("%d of %d processes alive", alive, len(watched)))
}

// survivors counts who is alive a second after the binary was killed, or later: not while
// one of them is on its way out, for which it may need a CPU. The binary is looked at first and
// then parents before their children, because a signal for the child is there before the parent has gone.
func (c *Container) survivors(watched []watchedProcess) (alive int, err error) {
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		leaving := c.box.leaving(c.Process.Pid)
		alive = 0
		for _, p := range watched {
			lasts, err := p.lasts(0)
			if err != nil {
				return 0, err
			}
			if lasts {
				alive, leaving = alive+1, leaving || c.box.leaving(p.pid)
			}
		}
		waited := time.Since(begin)
		if alive == 0 || waited > time.Second && !leaving || waited > patience/2 {
			return alive, nil
		}
	}
}
