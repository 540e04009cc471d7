package site

import (
	"context"
	"fmt"
	"html"
	"slices"
	"strings"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/stages"
)

// callsPage compares the lists of system calls of a stage and the one before. A stage that
// an author is just editing may not build: the page says what the compiler says.
func (s *Site) callsPage(ctx context.Context, st *stage) ([]byte, error) {
	p := page{Kind: "calls", Title: fmt.Sprintf("The system calls of stage %d", st.Number)}
	p.Other = s.changesLink(st.Number)
	if n := st.Number; n > 1 {
		p.Prev = &link{Href: s.stages[n-2].callsPage(), Text: fmt.Sprintf("The system calls of stage %d", n-1)}
	}
	if n := st.Number; n < len(s.stages) {
		p.Next = &link{Href: s.stages[n].callsPage(), Text: fmt.Sprintf("The system calls of stage %d", n+1)}
	}
	lines, err := s.compareCalls(ctx, st)
	if err != nil {
		return nil, err
	}
	p.Data = struct {
		First         bool
		Added, Lesser int
	}{st.before == "", count(lines, difference.Added), count(lines, difference.Removed)}
	p.Body = callList(lines)
	return s.show(st.callsPage(), p)
}

func (s *Site) compareCalls(ctx context.Context, st *stage) ([]difference.Line, error) {
	var old []string
	if st.before != "" {
		var err error
		if old, err = s.list(ctx, s.stages[st.Number-2].Stage); err != nil {
			return nil, err
		}
	}
	now, err := s.list(ctx, st.Stage)
	if err != nil {
		return nil, err
	}
	return difference.Lines(old, now), nil
}

// list is a stage's list, with two blanks before each reason: a terminal's columns are of
// no use here, and would differ where only a name is longer.
func (s *Site) list(ctx context.Context, st stages.Stage) ([]string, error) {
	lines, err := s.calls(ctx, st)
	if err != nil {
		return nil, fmt.Errorf("the list of system calls of %s: %w", st.Name(), err)
	}
	tidy := make([]string, len(lines))
	for i, line := range lines {
		tidy[i] = line
		if m := reason.FindStringSubmatch(line); m != nil {
			tidy[i] = strings.TrimRight(m[1], " ") + "  " + strings.TrimSpace(m[2])
		}
	}
	return tidy, nil
}

// count is how many calls of a kind there are; titles of sections are not counted.
func count(lines []difference.Line, kind difference.Kind) int {
	n := 0
	for _, line := range lines {
		if _, is := stages.Title(line.Text); line.Kind == kind && !is {
			n++
		}
	}
	return n
}

// many is from how many calls in a row that did not change they are folded.
const many = 4

// aFew is how many changed calls of a section are shown unasked.
const aFew = 24

// callList shows the comparison, each section of the list behind its title. A section is open if
// a few of its calls changed.
func callList(lines []difference.Line) string {
	var b strings.Builder
	for len(lines) > 0 {
		title, is := stages.Title(lines[0].Text)
		n := 1
		for n < len(lines) {
			if _, next := stages.Title(lines[n].Text); next {
				break
			}
			n++
		}
		switch {
		case is && lines[0].Kind == difference.Removed: // its calls went elsewhere, or away
			runs(&b, lines[1:n])
		case is:
			callSection(&b, title, lines[1:n])
		default:
			runs(&b, lines[:n])
		}
		lines = lines[n:]
	}
	return b.String()
}

// callSection is a part of the list, folded to its title and its numbers of calls.
func callSection(b *strings.Builder, title string, lines []difference.Line) {
	added, gone := count(lines, difference.Added), count(lines, difference.Removed)
	open := ""
	if n := added + gone; n > 0 && n <= aFew {
		open = " open"
	}
	total := fmt.Sprintf("%d calls", len(lines)-gone)
	if len(lines)-gone == 1 {
		total = "1 call"
	}
	switch {
	case added+gone == 0:
		total += ", as before"
	case added < len(lines):
		total += fmt.Sprintf(", +%d −%d", added, gone)
	}
	name, text, _ := strings.Cut(title, ": ")
	fmt.Fprintf(b, `<details class="section"%s><summary><b>%s</b> %s <span class="count">%s</span></summary>`,
		open, html.EscapeString(name), html.EscapeString(text), total)
	if added+gone == 0 {
		block(b, "both", lines)
	} else {
		runs(b, lines)
	}
	b.WriteString(`</details>`)
}

// runs shows calls, those that are as before folded where there are many in a row.
func runs(b *strings.Builder, lines []difference.Line) {
	for len(lines) > 0 {
		n := slices.IndexFunc(lines, func(l difference.Line) bool { return l.Kind != lines[0].Kind })
		if n < 0 {
			n = len(lines)
		}
		switch {
		case lines[0].Kind != difference.Kept:
			block(b, map[difference.Kind]string{difference.Added: "new", difference.Removed: "old"}[lines[0].Kind], lines[:n])
		case n >= many:
			fmt.Fprintf(b, `<details class="fold"><summary>%d calls as before</summary>`, n)
			block(b, "both", lines[:n])
			b.WriteString(`</details>`)
		default:
			block(b, "both", lines[:n])
		}
		lines = lines[n:]
	}
}

func block(b *strings.Builder, class string, lines []difference.Line) {
	b.WriteString(`<pre class="` + class + `"><code>`)
	for _, line := range lines {
		shown := html.EscapeString(line.Text)
		if side.MatchString(line.Text) {
			shown = call(line.Text)
		}
		b.WriteString(`<span class="l">` + shown + "\n</span>")
	}
	b.WriteString(`</code></pre>`)
}
