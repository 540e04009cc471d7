package attach

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"stagebox/stage01-namespaces/plan"
)

// Visit is a box whose own streams, terminal and signals are joined to those of a container. Its
// fields are set before Show.
type Visit struct {
	*Client
	TTY   bool // the container has a terminal
	Typed bool // standard input is passed on
	Proxy bool // signals are, to a container without a terminal
	Keys  Keys // that leave it

	Signal    func(unix.Signal) error // gives the container a signal
	Unhandled func(unix.Signal) bool  // reports whether it would never get one

	ends chan error // what can end it, other than the end of the container
}

// Show copies the streams until the container closes them, or something else ends it, such as the
// keys (ErrDetached).
func (v *Visit) Show() error {
	v.ends = make(chan error, 1)
	if v.TTY && v.Typed {
		before, err := term.MakeRaw(0)
		if err != nil {
			return fmt.Errorf("raw mode of the terminal: %w", err)
		}
		defer term.Restore(0, before)
	}
	if v.TTY {
		go v.follow()
	}
	if v.TTY && v.Typed || !v.TTY && v.Proxy {
		go v.passSignals()
	}
	if v.Typed {
		go v.passInput()
	}
	var all sync.WaitGroup
	all.Go(func() { io.Copy(os.Stdout, v.Stdout) })
	all.Go(func() { io.Copy(os.Stderr, v.Stderr) })
	go func() { all.Wait(); v.ends <- nil }()
	return <-v.ends
}

// passInput passes on what is typed; at a terminal, until the keys are typed.
func (v *Visit) passInput() {
	keys := v.Keys
	if !v.TTY {
		keys = Keys{}
	}
	if err := keys.Copy(v.Stdin, os.Stdin); err == ErrDetached {
		v.ends <- err
	}
	v.Stdin.Close()
}

// follow gives the container's terminal the size of the caller's, whenever it changes.
func (v *Visit) follow() {
	sizes := make(chan os.Signal, 1)
	signal.Notify(sizes, unix.SIGWINCH)
	for ; ; <-sizes {
		if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil {
			v.Resize(size.Row, size.Col)
		}
	}
}

// passSignals passes signals on. At a terminal the keys for them are passed on as bytes, so a
// signal is for box alone: it ends, and leaves the terminal as it was. It also ends with one that
// the container would never get.
func (v *Visit) passSignals() {
	all := make(chan os.Signal, 8)
	signal.Notify(all, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	for s := range all {
		s := s.(unix.Signal)
		if v.TTY || v.Unhandled(s) {
			v.ends <- plan.ExitStatus(128 + int(s))
			return
		}
		v.Signal(s)
	}
}
