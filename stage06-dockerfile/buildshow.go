// What a build shows: on a terminal a line for each step with its time, and below it, while
// the step runs, the end of what it prints; elsewhere all of it, line after line.
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
	current *shownStep
	tail    []string // of the output of the step that runs
	all     []string // of it, for when it fails
	drawn   int
}

type shownStep struct {
	steps *steps
	title string
	began time.Time
}

func newSteps(out *os.File, form string, quiet bool) *steps {
	return &steps{out: out, quiet: quiet, live: form == "tty" || form == "auto" && isTerminal(int(out.Fd()))}
}

// begin shows that a step begins.
func (s *steps) begin(stage string, in *Instruction) *shownStep {
	s.Lock()
	defer s.Unlock()
	s.n++
	if stage != "" {
		stage += " "
	}
	text := strings.Join(strings.Fields(in.Text), " ")
	step := &shownStep{s, fmt.Sprintf("[%s%d/%d] %s", stage, s.n, s.total, text), time.Now()}
	s.current, s.tail, s.all, s.drawn = step, nil, nil, 0
	if s.live && !s.quiet {
		s.draw("")
	} else if !s.quiet {
		fmt.Fprintln(s.out, step.title)
	}
	return step
}

// end shows how long a step took, and folds what it has printed, unless it failed.
func (p *shownStep) end(err error) {
	s := p.steps
	s.Lock()
	defer s.Unlock()
	took := fmt.Sprintf("%.1fs", time.Since(p.began).Seconds())
	if s.quiet {
		if err != nil {
			fmt.Fprint(s.out, strings.Join(s.all, ""))
		}
		return
	}
	if !s.live {
		if err == nil {
			fmt.Fprintf(s.out, "  done in %s\n", took)
		}
		return
	}
	s.tail = nil
	if err != nil {
		took = "failed"
	}
	s.draw(took)
	if err != nil {
		fmt.Fprint(s.out, strings.Join(s.all, ""))
	}
}

// draw writes the step's line and its output over what was drawn before.
func (s *steps) draw(took string) {
	width, _, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\033[%dA\033[J", s.drawn)
	}
	fmt.Fprintln(s.out, cut(s.current.title, width-8-len(took))+" "+took)
	for _, line := range s.tail {
		fmt.Fprintln(s.out, "  "+cut(strings.TrimRight(line, "\r\n"), width-3))
	}
	s.drawn = 1 + len(s.tail)
}

// cut is as much of a text as fits into a line.
func cut(text string, width int) string {
	runes := []rune(strings.ReplaceAll(text, "\t", "    "))
	if len(runes) <= width {
		return text
	}
	return string(runes[:max(0, width-1)]) + "…"
}

// stepOutput is the end of a pipe that a step prints into.
type stepOutput struct {
	file *os.File
	done chan struct{}
}

// output is where the step that runs prints to.
func (s *steps) output() (*stepOutput, error) {
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
				s.print(line)
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
func (s *steps) print(line string) {
	s.Lock()
	defer s.Unlock()
	const kept = 200
	s.all = append(s.all, line)
	s.all = s.all[max(0, len(s.all)-kept):]
	switch {
	case s.quiet:
	case s.live:
		s.tail = append(s.tail, line)
		s.tail = s.tail[max(0, len(s.tail)-shownLines):]
		s.draw("")
	default:
		fmt.Fprint(s.out, "  "+line)
	}
}

// printed tells whether one of these errors is in the end of what the step has printed.
func (s *steps) printed(errors ...string) bool {
	s.Lock()
	defer s.Unlock()
	text := strings.ToLower(strings.Join(s.all, ""))
	return slices.ContainsFunc(errors, func(e string) bool { return strings.Contains(text, e) })
}
