// The outline has a line for each section of the list: its name, how many calls it has, and which
// of them have a reason beside them. Those in which only the host has calls are marked: --pause,
// which stops the process, cannot stop there.

package plan

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// outline counts the calls of a run.
type outline struct {
	sections []*section
	calls    int
	begun    bool // by the process: --pause stops before its later calls
}

type section struct {
	topic     string
	calls     int
	names     []string // of the calls that have a reason, in their order
	stoppable bool     // --pause can stop in it
}

// add counts a call of the host or the process.
func (o *outline) add(side string, c *Call) {
	at := slices.IndexFunc(o.sections, func(s *section) bool { return s.topic == c.topic })
	if at < 0 {
		at = len(o.sections)
		o.sections = append(o.sections, &section{topic: c.topic})
	}
	s := o.sections[at]
	o.calls++
	s.calls++
	if side != "host" {
		s.stoppable, o.begun = s.stoppable || o.begun, true
	}
	if c.why != "" && !slices.Contains(s.names, c.Name) {
		s.names = append(s.names, c.Name)
	}
}

// flush prints the lines, and forgets them.
func (o *outline) flush(w io.Writer) {
	s := screenOf(w)
	for _, part := range o.sections {
		name, text, _ := strings.Cut(part.topic, ": ")
		if !part.stoppable {
			name += " (host)"
		}
		if len(part.names) > 0 {
			text += ": " + strings.Join(part.names, " ")
		}
		fmt.Fprintf(w, "%s%s\n", s.colour(bold, fmt.Sprintf("%-14s", name)),
			s.cut(fmt.Sprintf("%4d  %s", part.calls, text), s.width-14))
	}
	if o.calls > 0 {
		fmt.Fprintf(w, "%-14s%4d  calls: --explain shows each, --pause=SECTION stops at one\n",
			"", o.calls)
	}
	*o = outline{}
}
