// Package ui shows a build while it runs: on a terminal a line for each step with its time and,
// below it, the last lines of what it prints; elsewhere all of it, line by line. Several steps
// may run at once. A build makes one Steps and, for each instruction, a Step from Begin to End;
// Step.Output is where the step's program prints to.
//
// Steps.Least and the note of Step.Announce are for builds that take steps from a cache: the
// first such build is that of a later stage.
package ui

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// tailLines is how much of a step's output a terminal shows while the step runs; keptLines is
// how much is kept in case it fails.
const (
	tailLines = 6
	keptLines = 200
)

// longest is how much of a line is taken at once. A program may print without ever ending a line.
const longest = 64 << 10

// Cached is the note of a step that was not run.
const Cached = "CACHED"

// Steps shows the steps of one build. Its methods and those of its steps may be called
// concurrently.
type Steps struct {
	Total int           // how many steps there will be; set before the first begins
	Least time.Duration // without a terminal, faster steps get no line with their time

	lock    sync.Mutex
	out     *os.File
	live    bool // on a terminal, in place
	quiet   bool
	n       int
	running []*Step
	drawn   int // lines on the screen that will be drawn again
}

// Step is a step while it runs.
type Step struct {
	Number int // from 1, in the order of Begin

	steps *Steps
	title string
	note  string
	began time.Time
	tail  []string // the end of its output
	all   []string // more of it, for when it fails

	inLine bool // what it printed last has no end yet
}

// NewSteps shows a build on out. form is tty (in place), plain (line by line) or auto, which
// depends on whether out is a terminal. If quiet, only the output of a failed step is shown.
func NewSteps(out *os.File, form string, quiet bool) *Steps {
	live := form == "tty" || form == "auto" && term.IsTerminal(int(out.Fd()))
	return &Steps{out: out, quiet: quiet, live: live}
}

// Grow changes how many steps there will be, when that is known better than before.
func (s *Steps) Grow(n int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.Total += n
}

// Begin shows on a terminal that a step begins. stage may be ""; text is the instruction, whose
// lines are joined. Without a terminal nothing is printed before Announce.
func (s *Steps) Begin(stage, text string) *Step {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.n++
	if stage != "" {
		stage += " "
	}
	text = strings.Join(strings.Fields(text), " ")
	title := fmt.Sprintf("[%s%d/%d] %s", stage, s.n, s.Total, text)
	step := &Step{Number: s.n, steps: s, title: title, began: time.Now()}
	s.running = append(s.running, step)
	s.draw()
	return step
}

// Announce prints the line of a step where there is no terminal. note says why the step runs or
// that it does not (Cached), and is shown beside it; it may be "".
func (p *Step) Announce(note string) {
	s := p.steps
	s.lock.Lock()
	defer s.lock.Unlock()
	if p.note = note; note != "" {
		s.draw()
	}
	if !s.live && !s.quiet {
		fmt.Fprintln(s.out, p.title+p.remark())
	}
}

func (p *Step) remark() string {
	if p.note == "" {
		return ""
	}
	return "  # " + p.note
}

// End shows how long a step took, and removes its output from the terminal unless it failed.
func (p *Step) End(err error) {
	s := p.steps
	s.lock.Lock()
	defer s.lock.Unlock()
	s.running = slices.DeleteFunc(s.running, func(o *Step) bool { return o == p })
	took := time.Since(p.began)
	switch {
	case s.live && !s.quiet:
		p.endLive(took, err)
	case s.quiet && err != nil:
		fmt.Fprint(s.out, strings.Join(p.all, ""))
	case !s.quiet && err == nil && p.note != Cached && took >= s.Least:
		fmt.Fprintf(s.out, "  done in %.1fs\n", took.Seconds())
	}
}

func (p *Step) endLive(took time.Duration, err error) {
	s := p.steps
	s.erase()
	if err != nil {
		fmt.Fprintln(s.out, p.fitted("failed"))
		fmt.Fprint(s.out, strings.Join(p.all, ""))
	} else {
		fmt.Fprintln(s.out, p.fitted(fmt.Sprintf("%.1fs", took.Seconds())))
	}
	s.draw()
}

// width is that of the terminal, in columns.
func (s *Steps) width() int {
	width, _, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width < 20 {
		return 80
	}
	return width
}

// fitted is the line of a step as wide as the terminal, with its time at the end. A long
// instruction is cut so that the remark is visible.
func (p *Step) fitted(took string) string {
	room := p.steps.width() - 2 - len(took)
	title := Cut(p.title, max(room/3, room-len([]rune(p.remark()))))
	return Cut(title+p.remark(), room) + " " + took
}

// erase removes what was drawn (console_codes(4)).
func (s *Steps) erase() {
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\033[%dA\033[J", s.drawn)
	}
	s.drawn = 0
}

// draw writes the running steps and the end of their output over what was drawn before.
func (s *Steps) draw() {
	if !s.live || s.quiet {
		return
	}
	s.erase()
	for _, p := range s.running {
		fmt.Fprintln(s.out, p.fitted(""))
		for _, line := range p.tail {
			fmt.Fprintln(s.out, "  "+Cut(strings.TrimRight(line, "\r\n"), s.width()-3))
		}
		s.drawn += 1 + len(p.tail)
	}
}

// Cut shortens a text to a number of columns; an ellipsis shows that something is missing.
func Cut(text string, width int) string {
	runes := []rune(strings.ReplaceAll(text, "\t", "    "))
	if len(runes) <= width {
		return string(runes)
	}
	return string(runes[:max(0, width-1)]) + "…"
}

// Output is where a step prints to.
type Output struct {
	File *os.File // the write end of a pipe

	done chan struct{}
}

// Output returns a pipe for the output of the step's program. The caller closes it before End.
func (p *Step) Output() (*Output, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &Output{write, make(chan struct{})}
	go func() {
		defer close(o.done)
		defer read.Close()
		p.copy(read)
	}()
	return o, nil
}

// copy shows what is read, line by line, until the end.
func (p *Step) copy(from *os.File) {
	lines := bufio.NewReaderSize(from, longest)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			p.print(string(line))
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

// Close closes the pipe, and waits until everything printed is shown. It may be called twice.
func (o *Output) Close() {
	o.File.Close()
	<-o.done
}

// print shows one line of a step's output, or a piece of a long one.
func (p *Step) print(line string) {
	s := p.steps
	s.lock.Lock()
	defer s.lock.Unlock()
	p.all = append(p.all, line)
	p.all = p.all[max(0, len(p.all)-keptLines):]
	switch {
	case s.quiet:
	case s.live:
		p.tail = append(p.tail, line)
		p.tail = p.tail[max(0, len(p.tail)-tailLines):]
		s.draw()
	case p.inLine:
		fmt.Fprint(s.out, line)
	default:
		fmt.Fprint(s.out, "  "+line)
	}
	p.inLine = !strings.HasSuffix(line, "\n")
}

// Printed reports whether one of these texts, in lower case, is in the output of the step, of
// which the last 200 lines are kept.
func (p *Step) Printed(texts ...string) bool {
	p.steps.lock.Lock()
	defer p.steps.lock.Unlock()
	all := strings.ToLower(strings.Join(p.all, ""))
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(all, text) })
}
