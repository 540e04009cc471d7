// Package behave is the behaviour suite: one table of what a stage's binary does, from
// the stage on that first does it. It is held against every stage, and against any binary
// that a student names. A row runs the binary and asks the kernel what came of it, from
// inside and from outside; what the binary says of itself proves nothing.
//
// Read Row and Box first, then the rows: namespaces.go, ids.go, command.go, signals.go,
// exec.go, telling.go, terminal.go, leftovers.go, cgroups.go, roots.go and walls.go. The other
// files are how they are run: suite.go has rows run side by side, so a check may change nothing
// that another one looks at, and must not mind what else comes and goes on the host.
package behave

import (
	"slices"
	"strings"
)

// Row is one behaviour.
type Row struct {
	Name  string          // a sentence that is true of a binary that behaves
	Since int             // the first stage that does it
	For   Who             // whose runs it is about; 0 is everybody's
	Needs string          // a file below /proc that a kernel without this feature lacks; "" is none
	Slow  bool            // takes many seconds
	Alone string          // why no other row may run meanwhile; "" for those that may run side by side
	Until int             // the last stage that does it; 0 for all from Since on
	Fresh bool            // it is about how an empty store is filled
	Check func(*Box) Seen // runs the binary and looks

	// Broken is the negative control, a shell script in which $BOX is the binary: it
	// behaves in everything but this. A check that holds for it can never fail.
	Broken string
}

// Who runs the binary.
type Who int

const (
	Root Who = 1 + iota
	User     // an ordinary user
)

// table is the whole suite; a stage's rows follow those of the stage before.
var table = slices.Concat(namespaceRows, idRows, commandRows, signalRows, execRows, tellingRows, terminalRows, leftoverRows,
	cgroupRows, rootRows, wallRows, unionRows, keptRows)

// Last is the last stage that rows are about.
func Last() int {
	return slices.MaxFunc(table, func(a, b Row) int { return a.Since - b.Since }).Since
}

// Seen is what a check has found out.
type Seen struct {
	Expected string // what should have been seen
	Saw      string // what was seen
	Holds    bool
	Err      error  // why the check could not look: it does not hold, and proves nothing
	Cannot   string // what this host lacks for the check, and not the binary
}

func holds(ok bool, expected, saw string) Seen { return Seen{Expected: expected, Saw: saw, Holds: ok} }

func same(expected, saw string) Seen { return holds(expected == saw, expected, saw) }

func failed(err error) Seen {
	return Seen{Expected: "a run at which one can look", Saw: err.Error(), Err: err}
}

// ended expects something of how a run ended; that it ended at all is expected of each.
func ended(ok bool, expected string, e Ended) Seen {
	if e.Err != nil {
		return failed(e.Err)
	}
	return holds(ok, expected, e.String())
}

// status expects an exit status.
func status(expected int, e Ended) Seen {
	return ended(e.Status == expected, "exit "+itoa(expected), e)
}

// printed expects success and exactly this text on standard output.
func printed(expected string, e Ended) Seen {
	return ended(e.Status == 0 && e.Line() == expected, Ended{Stdout: expected}.String(), e)
}

// all holds when all parts do, and else reports the first that does not.
func all(parts ...Seen) Seen {
	var expected, saw []string
	for _, part := range parts {
		if !part.Holds {
			return part
		}
		expected, saw = append(expected, part.Expected), append(saw, part.Saw)
	}
	return holds(true, strings.Join(expected, "; "), strings.Join(saw, "; "))
}

// words is text with single spaces between its words.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }
