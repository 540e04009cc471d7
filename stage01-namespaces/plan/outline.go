// The outline has a line for each section of the list: its name, how many calls it has, and which
// of them have a reason beside them.

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
}

type section struct {
	topic string
	calls int
	names []string // of the calls that have a reason, in their order
}

// add counts a call.
func (o *outline) add(c *Call) {
	at := slices.IndexFunc(o.sections, func(s *section) bool { return s.topic == c.topic })
	if at < 0 {
		at = len(o.sections)
		o.sections = append(o.sections, &section{topic: c.topic})
	}
	s := o.sections[at]
	o.calls++
	s.calls++
	if c.why != "" && !slices.Contains(s.names, c.Name) {
		s.names = append(s.names, c.Name)
	}
}

// flush prints the lines, and forgets them.
func (o *outline) flush(w io.Writer) {
	s := screenOf(w)
	for _, part := range o.sections {
		name, text, _ := strings.Cut(part.topic, ": ")
		if len(part.names) > 0 {
			text += ": " + strings.Join(part.names, " ")
		}
		fmt.Fprintf(w, "%s%s\n", s.colour(bold, fmt.Sprintf("%-11s", name)),
			s.cut(fmt.Sprintf("%4d  %s", part.calls, text), s.width-11))
	}
	if o.calls > 0 {
		fmt.Fprintf(w, "%-11s%4d  calls: --explain shows each, --pause=SECTION stops at one\n",
			"", o.calls)
	}
	*o = outline{}
}

// sectionsOf are the names of the sections of a list.
func sectionsOf(calls []*Call) (names []string) {
	for _, c := range calls {
		if name, _, ok := strings.Cut(c.topic, ":"); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
