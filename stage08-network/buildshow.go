// What a build shows: on a terminal a line for each step with its time, and below it, while
// the step runs, the end of what it prints; elsewhere all of it, line after line. Several
// steps may run at once.
package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"stagebox/stage06-dockerfile/dockerfile"
)

// shownLines is how much of a step's output a terminal shows while it runs.
const shownLines = 6

// steps shows a build.
type steps struct {
	sync.Mutex
	out     *os.File
	live    bool
	quiet   bool
	total   int
	n       int
	running []*shownStep
	drawn   int // lines on the screen that will be drawn again
}

// shownStep is a step while it runs.
type shownStep struct {
	steps *steps
	title string
	began time.Time
	tail  []string // of its output
	all   []string // of it, for when it fails

	number int
	note   string // CACHED, or why not
}

func newSteps(out *os.File, form string, quiet bool) *steps {
	return &steps{out: out, quiet: quiet, live: form == "tty" || form == "auto" && term.IsTerminal(int(out.Fd()))}
}

// begin shows that a step begins.
func (s *steps) begin(stage string, in *dockerfile.Instruction) *shownStep {
	s.Lock()
	defer s.Unlock()
	s.n++
	if stage != "" {
		stage += " "
	}
	text := strings.Join(strings.Fields(in.Text), " ")
	step := &shownStep{steps: s, title: fmt.Sprintf("[%s%d/%d] %s", stage, s.n, s.total, text), began: time.Now(), number: s.n}
	s.running = append(s.running, step)
	s.draw()
	if in.Name == "FROM" {
		step.tell()
	}
	return step
}

// told shows the line of a step, once it is known whether it was made before.
func (p *shownStep) told() {
	p.steps.Lock()
	defer p.steps.Unlock()
	p.steps.draw()
	p.tell()
}

// tell prints the line of a step, where no terminal shows it.
func (p *shownStep) tell() {
	if !p.steps.live && !p.steps.quiet {
		fmt.Fprintln(p.steps.out, p.title+p.remark())
	}
}

// remark is why a step runs, or that it does not.
func (p *shownStep) remark() string {
	if p.note == "" {
		return ""
	}
	return "  # " + p.note
}

// end shows how long a step took, and folds what it has printed, unless it failed.
func (p *shownStep) end(err error) {
	s := p.steps
	s.Lock()
	defer s.Unlock()
	s.running = slices.DeleteFunc(s.running, func(o *shownStep) bool { return o == p })
	took := fmt.Sprintf("%.1fs", time.Since(p.began).Seconds())
	if err != nil {
		took = "failed"
	}
	switch {
	case s.live && !s.quiet:
		s.erase()
		fmt.Fprintln(s.out, p.fitted(took))
		if err != nil {
			fmt.Fprint(s.out, strings.Join(p.all, ""))
		}
		s.draw()
	case s.quiet && err != nil:
		fmt.Fprint(s.out, strings.Join(p.all, ""))
	case !s.quiet && err == nil && p.note != "CACHED" && time.Since(p.began) > 50*time.Millisecond:
		fmt.Fprintf(s.out, "  done in %s\n", took)
	}
}

// width is the terminal's, in columns.
func (s *steps) width() int {
	width, _, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width < 20 {
		return 80
	}
	return width
}

// fitted is the line as wide as the terminal, with the time at its end. Of a long
// instruction less is shown, so that the remark is.
func (p *shownStep) fitted(took string) string {
	room := p.steps.width() - 2 - len(took)
	title := cut(p.title, max(room/3, room-len([]rune(p.remark()))))
	return cut(title+p.remark(), room) + " " + took
}

func (s *steps) erase() {
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\033[%dA\033[J", s.drawn)
	}
	s.drawn = 0
}

// draw writes the steps that run, and the end of their output, over what was drawn before.
func (s *steps) draw() {
	if !s.live || s.quiet {
		return
	}
	s.erase()
	for _, p := range s.running {
		fmt.Fprintln(s.out, p.fitted(""))
		for _, line := range p.tail {
			fmt.Fprintln(s.out, "  "+cut(strings.TrimRight(line, "\r\n"), s.width()-3))
		}
		s.drawn += 1 + len(p.tail)
	}
}

// cut is as much of a text as fits into a line.
func cut(text string, width int) string {
	runes := []rune(strings.ReplaceAll(text, "\t", "    "))
	if len(runes) <= width {
		return string(runes)
	}
	return string(runes[:max(0, width-1)]) + "…"
}

// stepOutput is the end of a pipe that a step prints into.
type stepOutput struct {
	file *os.File
	done chan struct{}
}

// output is where the step prints to.
func (p *shownStep) output() (*stepOutput, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &stepOutput{write, make(chan struct{})}
	go func() {
		defer close(o.done)
		defer read.Close()
		lines := bufio.NewReaderSize(read, 64<<10)
		for {
			line, err := lines.ReadString('\n')
			if line != "" {
				p.print(line)
			}
			if err != nil {
				return
			}
		}
	}()
	return o, nil
}

// close waits until all is shown that was printed.
func (o *stepOutput) close() {
	o.file.Close()
	<-o.done
}

// print shows a line of a step's output.
func (p *shownStep) print(line string) {
	const kept = 200
	s := p.steps
	s.Lock()
	defer s.Unlock()
	p.all = append(p.all, line)
	p.all = p.all[max(0, len(p.all)-kept):]
	switch {
	case s.quiet:
	case s.live:
		p.tail = append(p.tail, line)
		p.tail = p.tail[max(0, len(p.tail)-shownLines):]
		s.draw()
	default:
		fmt.Fprint(s.out, "  "+line)
	}
}

// printed tells whether one of these errors is in the end of what the step has printed.
func (p *shownStep) printed(errors ...string) bool {
	p.steps.Lock()
	defer p.steps.Unlock()
	text := strings.ToLower(strings.Join(p.all, ""))
	return slices.ContainsFunc(errors, func(e string) bool { return strings.Contains(text, e) })
}
