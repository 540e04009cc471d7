package vm

import (
	"bytes"
	"fmt"
	"io"
)

// ending passes on what a command prints, up to the words that say how it has ended:
// "exit 7" between two bytes 4, which is how a terminal says that no more will come.
type ending struct {
	out  io.Writer
	seen func() // called when the words are complete
	held []byte // what may be the beginning of them
}

const opening = "\x04exit "

func (e *ending) Write(data []byte) (int, error) {
	e.held = append(e.held, data...)
	for {
		at := bytes.IndexByte(e.held, opening[0])
		if at < 0 {
			at = len(e.held)
		}
		if _, err := e.out.Write(e.held[:at]); err != nil {
			return 0, err
		}
		e.held = e.held[at:]
		n := min(len(e.held), len(opening))
		if string(e.held[:n]) == opening[:n] { // nothing at all, or what may be it
			break
		}
		if _, err := e.out.Write(e.held[:1]); err != nil {
			return 0, err
		}
		e.held = e.held[1:]
	}
	if _, ok := e.status(); ok {
		e.seen()
	}
	return len(data), nil
}

// status is the exit status, once it is known.
func (e *ending) status() (status int, ok bool) {
	if bytes.Count(e.held, []byte{opening[0]}) < 2 {
		return 0, false
	}
	n, _ := fmt.Sscanf(string(e.held), opening+"%d", &status)
	return status, n == 1
}
