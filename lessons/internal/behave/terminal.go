package behave

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The rows about a run at a terminal: pty(7).

var terminalRows = []Row{{
	Name: "at a terminal, TERM is in the environment too", Since: 1,
	Check:  terminalKind,
	Broken: before("unset TERM"),
}, {
	Name: "Ctrl-C at the terminal ends a command that has no handler: 130", Since: 1,
	Check:  func(b *Box) Seen { return status(130, b.interrupted("ready\n", "run", "/bin/cat")) },
	Broken: statusLost,
}, {
	Name: "Ctrl-C at the terminal reaches a command that has a handler", Since: 1,
	Check:  func(b *Box) Seen { return status(7, b.interrupted("", handler("INT")...)) },
	Broken: statusLost,
}, {
	Name: "--pause holds the command back until Enter was pressed", Since: 1,
	Check:  pauses,
	Broken: drop("--pause"),
}}

// StartAtTerminal is Start at a new terminal, which the run controls, and on which this was
// typed before.
func (b *Box) StartAtTerminal(typed string, args ...string) (*Container, error) {
	ours, theirs, err := openTerminal()
	if err != nil {
		return nil, err
	}
	c := &Container{run: b.prepare(b.path, args...), in: ours, out: ours}
	c.Stdin, c.Stdout, c.Stderr = theirs, theirs, theirs
	c.SysProcAttr.Setctty = true
	return c, c.begin(typed, theirs)
}

// openTerminal makes a pseudoterminal and returns its two ends: ours, where one types, and
// the program's. The typed keys are not shown, so that all there is to read was printed.
func openTerminal() (ours, theirs *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open(\"/dev/ptmx\"): %w", err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = hideTyping(fd)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	ours = os.NewFile(uintptr(fd), "/dev/ptmx") // not blocking, so that reads can have a deadline
	if err == nil {
		theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("a new terminal: %w", err), ours.Close())
	}
	return ours, theirs, nil
}

func hideTyping(fd int) error {
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	settings.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(fd, unix.TCSETS, settings)
}

func terminalKind(b *Box) Seen {
	c, err := b.StartAtTerminal("", "run", "/bin/sh", "-c", "env | grep ^TERM=; echo")
	if err != nil {
		return failed(err)
	}
	return same("TERM=dumb", c.First)
}

// interrupted presses Ctrl-C when the command has printed its first line.
func (b *Box) interrupted(typed string, args ...string) Ended {
	start := func(b *Box) (*Container, error) { return b.StartAtTerminal(typed, args...) }
	return b.signalled(unix.SIGINT, start, func(c *Container) error {
		_, err := c.in.WriteString("\x03")
		return err
	})
}

// pauses presses no key for a moment, in which a run without a pause would be over, and
// then Enter more often than there are calls.
func pauses(b *Box) Seen {
	path := filepath.Join(b.Dir, "made")
	made := func() bool { _, err := os.Lstat(path); return err == nil }
	c, err := b.StartAtTerminal("", "run", "--pause", "/bin/sh", "-c", `: >"$0"; echo ready`, path)
	if err != nil {
		return failed(err)
	}
	held, err := c.lasts(300 * time.Millisecond)
	held = held && !made()
	if held && err == nil {
		_, err = c.in.WriteString(strings.Repeat("\n", 500))
	}
	if err != nil {
		return failed(err)
	}
	e := c.Wait()
	return same("held back true, then exit 0, run true",
		fmt.Sprintf("held back %t, then exit %d, run %t", held, e.Status, made()))
}
