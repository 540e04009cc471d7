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

func count(lines []difference.Line, kind difference.Kind) int {
	n := 0
	for _, line := range lines {
		if line.Kind == kind {
			n++
		}
	}
	return n
}

// many is from how many calls in a row that did not change they are folded.
const many = 4

// callList shows the comparison, calls that are as before folded.
func callList(lines []difference.Line) string {
	var b strings.Builder
	for len(lines) > 0 {
		n := slices.IndexFunc(lines, func(l difference.Line) bool { return l.Kind != lines[0].Kind })
		if n < 0 {
			n = len(lines)
		}
		switch {
		case lines[0].Kind != difference.Kept:
			block(&b, map[difference.Kind]string{difference.Added: "new", difference.Removed: "old"}[lines[0].Kind], lines[:n])
		case n >= many:
			fmt.Fprintf(&b, `<details class="fold"><summary>%d calls as before</summary>`, n)
			block(&b, "both", lines[:n])
			b.WriteString(`</details>`)
		default:
			block(&b, "both", lines[:n])
		}
		lines = lines[n:]
	}
	return b.String()
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
