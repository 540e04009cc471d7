// --explain prints the system calls as they are made, --dry-run the list alone, and
// --pause stops before each: one narration of one list, in the notation of strace(1),
// with the reason beside each call. host│ marks what box does, box │ what its child does.

package plan

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"
)

// Narration is how much of a run is shown: flags to embed in a command of kong.
type Narration struct {
	Explain format `help:"Print each system call and its purpose on standard error; =outline prints one line per section, =json is for programs." placeholder:"outline" group:"Look inside:"`
	DryRun  bool   `help:"Print the system calls without making them." group:"Look inside:"`
	Pause   stops  `help:"Stop before each system call until you press Enter, and suggest what to look at from a second terminal; =mount,root stops only at each mount and where the section root begins." placeholder:"CALL|SECTION" group:"Look inside:"`

	printed int    // how many calls of the list were printed
	topic   string // of the call that was printed last
	outline outline
	enter   *bufio.Reader
}

// stops is where --pause stops: "" nowhere, "all", or names of calls and sections with commas.
type stops string

func (stops) IsBool() bool { return true }

// Decode reads --pause and --pause=WHERE.
func (s *stops) Decode(ctx *kong.DecodeContext) error {
	*s = "all"
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		*s = stops(fmt.Sprint(ctx.Scan.Pop().Value))
	}
	return nil
}

// at reports whether to stop before c, which follows a call of the section before, and the
// name that says so.
func (s stops) at(c *Call, before string) (string, bool) {
	for name := range strings.SplitSeq(string(s), ",") {
		if s == "all" || name == c.Name ||
			c.topic != before && strings.HasPrefix(c.topic, name+":") {
			return name, true
		}
	}
	return "", false
}

// format is "", "text", "outline" or "json". The flag needs no value.
type format string

func (format) IsBool() bool { return true }

// Decode reads --explain and --explain=FORM.
func (t *format) Decode(ctx *kong.DecodeContext) error {
	*t = "text"
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return nil
	}
	value := fmt.Sprint(ctx.Scan.Pop().Value)
	if *t = format(value); value != "text" && value != "outline" && value != "json" {
		return fmt.Errorf("%q is not a form of narration: "+
			"use --explain, --explain=outline or --explain=json", value)
	}
	return nil
}

func (n *Narration) narrates() bool { return n.Pause != "" || n.Explain != "" }

// Start makes the process that replays p, and returns once it has become its program, or
// with the step that failed (a StepError). The calling thread stays locked to its
// goroutine: when it ends, the kernel kills the process (PR_SET_PDEATHSIG). The narration
// goes to standard error.
func (n *Narration) Start(p *Plan) (*Process, error) {
	if n.Pause != "" {
		tty, err := os.Open("/dev/tty")
		if err != nil {
			return nil, fmt.Errorf("--pause waits for Enter on a terminal, "+
				"and there is none: %w", err)
		}
		defer tty.Close()
		n.enter = bufio.NewReader(tty)
	}
	if n.narrates() {
		if err := p.addGates(n.Pause); err != nil {
			return nil, err
		}
	}
	c, err := p.launch(n)
	n.outline.flush(os.Stderr)
	if n.Pause != "" && err == nil {
		go c.forward()
	}
	return c, err
}

// addGates adds sync points for the narration's sake: before execve, so that everything is
// printed before the program's first word, and before every call where --pause stops.
func (p *Plan) addGates(pause stops) error {
	calls, found := p.Calls, map[string]bool{"": true, "all": true}
	var last Call // before which it could stop
	p.Calls = nil
	for i, c := range calls {
		if canStop(calls, i) {
			name, stop := pause.at(c, last.topic)
			c.stop, found[name], last = stop, true, *c
		}
		if c.Name == "execve" || c.stop {
			p.topic = c.topic
			p.sync().Why("so that this is on the screen before the program's first word")
			p.Calls[len(p.Calls)-2].gate, p.Calls[len(p.Calls)-1].gate = true, true
		}
		p.Calls = append(p.Calls, c)
	}
	for name := range strings.SplitSeq(string(pause), ",") {
		if !found[name] {
			return p.cannotStop(name, calls)
		}
	}
	return nil
}

// canStop reports whether the process can stop before a call. It cannot before its first, within
// a sync, or between two places of a search.
func canStop(calls []*Call, i int) bool {
	inSync := calls[i].syncs || calls[min(i+1, len(calls)-1)].syncs
	return i > 0 && !inSync && !(calls[i].isCandidate && calls[i-1].isCandidate)
}

// cannotStop is the error for a name at which --pause stops nowhere.
func (p *Plan) cannotStop(name string, calls []*Call) error {
	why := "the process makes no such call and has no such section"
	for _, c := range append(slices.Clone(p.before.Calls), cloneCall(&p.Clone)) {
		if c.Name == name || strings.HasPrefix(c.topic, name+":") {
			why = "the host does this before there is a process to stop"
		}
	}
	var sections []string
	for i, c := range calls {
		section, _, named := strings.Cut(c.topic, ":")
		if named && canStop(calls, i) && !slices.Contains(sections, section) {
			sections = append(sections, section)
		}
	}
	return fmt.Errorf("--pause=%s: %s; sections to stop at: %s",
		name, why, strings.Join(sections, ", "))
}

// follow prints what the process has done since the last time.
func (n *Narration) follow(calls []*Call) {
	for ; n.printed < len(calls); n.printed++ {
		if c := calls[n.printed]; c.done && !(n.Pause != "" && c.gate) {
			n.tell("box", c)
		}
	}
}

// gate is called while the process waits. At a gate it prints what comes next, before it
// happens, and returns nil: the answer is not printed then.
func (n *Narration) gate(c *Process, answer *Plan) *Narration {
	read := c.plan.Calls[c.at]
	if !read.gate {
		return n
	}
	next := c.plan.Calls[c.at+1]
	n.printed = c.at + 2
	if n.Pause != "" {
		n.tell("box", next)
		if next.stop {
			n.wait(next, c.PID)
		}
		return nil
	}
	answer.Calls[0].topic = read.topic
	n.tell("host", answer.Calls[0])
	n.tell("box", read)
	n.tell("box", next)
	n.outline.flush(os.Stderr)
	return nil
}

// wait says where to look, if there is something to see, and waits for Enter.
func (n *Narration) wait(next *Call, pid int) {
	look := ""
	if next.look != "" {
		look = "look: " + strings.ReplaceAll(next.look, "PID", fmt.Sprint(pid)) + "   "
	}
	fmt.Fprintf(os.Stderr, "      %s[Enter] ", look)
	if _, err := n.enter.ReadString('\n'); err != nil {
		fmt.Fprintln(os.Stderr) // the terminal is gone
	}
}

// List prints the plan on standard output as it would be carried out, and makes no call.
func (n *Narration) List(p *Plan) error {
	if p.err != nil {
		return p.err
	}
	for _, c := range append(p.before.Calls, cloneCall(&p.Clone)) {
		n.print(os.Stdout, "host", c)
	}
	for _, c := range p.Calls {
		if c.syncs && !c.waitsForOther {
			answer := p.answer("PID", c)
			if answer.err != nil {
				return answer.err
			}
			for _, c := range answer.Calls {
				n.print(os.Stdout, "host", c)
			}
		}
		n.print(os.Stdout, "box", c)
	}
	n.outline.flush(os.Stdout)
	return nil
}

// tell prints a call on standard error if the run is narrated.
func (n *Narration) tell(side string, c *Call) {
	if n != nil && n.narrates() {
		n.print(os.Stderr, side, c)
	}
}

// print prints a call, and before it the title of its section, if another one begins. A list
// that is only printed has titles when --explain asks for them.
func (n *Narration) print(w io.Writer, side string, c *Call) {
	switch n.Explain {
	case "json":
		fmt.Fprintf(w, "%s\n", c.json(side))
		return
	case "outline":
		n.outline.add(side, c)
		return
	}
	s := screenOf(w)
	if n.narrates() && c.topic != n.topic {
		n.topic = c.topic
		fmt.Fprintln(w, s.title(c.topic))
	}
	fmt.Fprintln(w, s.line(side, c.String()+c.result(), c.why))
}

// json is one object on a line. Its arguments are text as in --explain; ret and errno
// are absent for a call that has not been made.
func (c *Call) json(side string) []byte {
	printed := struct {
		Side  string   `json:"side"`
		Call  string   `json:"call"`
		Args  []string `json:"args"`
		Ret   *uintptr `json:"ret,omitempty"`
		Errno string   `json:"errno,omitempty"`
		Why   string   `json:"why,omitempty"`
		Topic string   `json:"section,omitempty"`
	}{side, c.Name, c.texts(), nil, unix.ErrnoName(c.Errno), c.why, c.topic}
	if c.done && c.Errno == 0 {
		printed.Ret = &c.Ret
	}
	line, err := json.Marshal(printed)
	if err != nil { // strings and a number
		return []byte(err.Error())
	}
	return line
}

// brief is String with long arguments left out, for an error message.
func (c *Call) brief() string {
	texts := c.texts()
	for i, text := range texts {
		if len(text) > 80 {
			texts[i] = "…"
		}
	}
	return c.Name + "(" + strings.Join(texts, ", ") + ")"
}

// String is the call in the notation of strace(1), without its result.
func (c *Call) String() string { return c.Name + "(" + strings.Join(c.texts(), ", ") + ")" }

// texts are the arguments in the notation of strace(1).
func (c *Call) texts() []string {
	texts := make([]string, len(c.args))
	for i, arg := range c.args {
		texts[i] = arg.String()
	}
	return texts
}

// result is " = " and the result, as strace(1) writes it.
func (c *Call) result() string {
	switch {
	case !c.done:
		return ""
	case c.Name == "umask":
		return fmt.Sprintf(" = %#03o", c.Ret)
	case c.Errno == 0:
		return fmt.Sprintf(" = %d", c.Ret)
	}
	message := c.Errno.Error()
	message = strings.ToUpper(message[:1]) + message[1:]
	return fmt.Sprintf(" = -1 %s (%s)", unix.ErrnoName(c.Errno), message)
}

// Bits is an argument made of flags, written as their names joined by |, in the order of
// names; what has no name is written in hexadecimal.
func Bits(value uint64, names []Flag) Arg {
	if value == 0 {
		return Num(0)
	}
	return Arg{value: uintptr(value), say: func() string { return bitNames(value, names) }}
}

func bitNames(value uint64, names []Flag) string {
	var set []string
	rest := value
	for _, name := range names {
		if rest&name.Bit != 0 {
			set, rest = append(set, name.Name), rest&^name.Bit
		}
	}
	if rest != 0 {
		set = append(set, fmt.Sprintf("%#x", rest))
	}
	return strings.Join(set, "|")
}

// Flag is one bit and its name. It is an alias, so that a table of flags needs no field names.
type Flag = struct {
	Bit  uint64
	Name string
}

// Quote quotes a string as strace(1) does: C escapes, octal for bytes outside printable ASCII.
func Quote(s string) string {
	const named = "\t\n\v\f\r\"\\"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch k := strings.IndexByte(named, c); {
		case k >= 0:
			b.WriteString("\\" + `tnvfr"\`[k:k+1])
		case c >= ' ' && c < 0x7f:
			b.WriteByte(c)
		case i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			fmt.Fprintf(&b, "\\%03o", c)
		default:
			fmt.Fprintf(&b, "\\%o", c)
		}
	}
	return `"` + b.String() + `"`
}
