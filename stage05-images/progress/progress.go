// Package progress shows how far several transfers are: on a terminal with a bar for each, redrawn
// in its place, and elsewhere with a line for each event.
package progress

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"stagebox/stage02-cgroups/units"
)

// Display shows transfers. Several goroutines may use it at once.
type Display struct {
	lock   sync.Mutex
	out    *os.File
	live   bool // a terminal, where lines can be redrawn
	quiet  bool
	order  []string
	lines  map[string]string // by label
	drawn  int
	latest time.Time
}

// New returns a Display on out. A quiet one shows nothing. A plain one draws no bars, for a terminal
// that something else is written to as well.
func New(out *os.File, quiet, plain bool) *Display {
	live := !plain && term.IsTerminal(int(out.Fd()))
	return &Display{out: out, live: live, quiet: quiet, lines: map[string]string{}}
}

// Event shows a text as the latest state of a transfer.
func (d *Display) Event(label, text string) {
	d.lock.Lock()
	defer d.lock.Unlock()
	switch {
	case d.quiet:
	case d.live:
		d.set(label, text)
		d.draw()
	default:
		fmt.Fprintf(d.out, "%s: %s\n", label, text)
	}
}

// Update draws the bar of a transfer that has moved n of size bytes.
func (d *Display) Update(label string, n, size int64) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if !d.live || d.quiet {
		return
	}
	const width = 30
	full := width
	if size > 0 {
		full = int(min(n, size) * width / size)
	}
	d.set(label, fmt.Sprintf("[%s%s] %s of %s", strings.Repeat("=", full),
		strings.Repeat(" ", width-full), units.FormatSize(n), units.FormatSize(size)))
	if time.Since(d.latest) > 50*time.Millisecond {
		d.draw()
	}
}

// Finish draws what has not been drawn yet.
func (d *Display) Finish() {
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.live && !d.quiet {
		d.draw()
	}
}

func (d *Display) set(label, text string) {
	if _, known := d.lines[label]; !known {
		d.order = append(d.order, label)
	}
	d.lines[label] = text
}

// draw moves up over the lines that are there (console_codes(4)), and writes them again.
func (d *Display) draw() {
	d.latest = time.Now()
	if d.drawn > 0 {
		fmt.Fprintf(d.out, "\033[%dA", d.drawn)
	}
	for _, label := range d.order {
		fmt.Fprintf(d.out, "\033[2K%s: %s\n", label, d.lines[label])
	}
	d.drawn = len(d.order)
}
