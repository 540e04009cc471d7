// What pull and push show: a bar for each blob on a terminal, redrawn in its place, and a
// line for each event elsewhere.
package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"stagebox/stage02-cgroups/units"
)

// progress is shown by several goroutines at once.
type progress struct {
	sync.Mutex
	out    *os.File
	live   bool // a terminal, on which lines can be drawn again
	quiet  bool
	order  []string
	lines  map[string]string
	drawn  int
	latest time.Time
}

// newProgress shows on a terminal, unless it is told there too what the registry was asked.
func newProgress(out *os.File, quiet, explain bool) *progress {
	return &progress{out: out, live: !explain && term.IsTerminal(int(out.Fd())), quiet: quiet, lines: map[string]string{}}
}

// say tells what has become of a blob.
func (p *progress) say(label, text string) {
	p.Lock()
	defer p.Unlock()
	switch {
	case p.quiet:
	case p.live:
		p.set(label, text)
		p.draw()
	default:
		fmt.Fprintf(p.out, "%s: %s\n", label, text)
	}
}

// at tells how much of a blob has moved.
func (p *progress) at(label string, n, size int64) {
	p.Lock()
	defer p.Unlock()
	if !p.live || p.quiet {
		return
	}
	const width = 30
	full := width
	if size > 0 {
		full = int(min(n, size) * width / size)
	}
	p.set(label, fmt.Sprintf("[%s%s] %s of %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), units.FormatSize(n), units.FormatSize(size)))
	if time.Since(p.latest) > 50*time.Millisecond {
		p.draw()
	}
}

func (p *progress) set(label, text string) {
	if _, known := p.lines[label]; !known {
		p.order = append(p.order, label)
	}
	p.lines[label] = text
}

// draw goes up over the lines that are there (console_codes(4)), and writes them again.
func (p *progress) draw() {
	p.latest = time.Now()
	if p.drawn > 0 {
		fmt.Fprintf(p.out, "\033[%dA", p.drawn)
	}
	for _, label := range p.order {
		fmt.Fprintf(p.out, "\033[2K%s: %s\n", label, p.lines[label])
	}
	p.drawn = len(p.order)
}

// end draws what has not been drawn yet.
func (p *progress) end() {
	p.Lock()
	defer p.Unlock()
	if p.live && !p.quiet {
		p.draw()
	}
}
