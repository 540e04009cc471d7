package site

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/stages"
)

// changed is a file on the page of changes.
type changed struct {
	Name, Count string
	New, Gone   bool
	Explained   *link
	Body        string // HTML: hunks, and folds between them
}

// exhibited is a tool on the page of changes.
type exhibited struct {
	ID, Name, Count string
	Comment         []paragraph
	Exports         []export
	Files           []changed
}

// paragraph is one of a package comment; Code is what is to be shown as it is.
type paragraph struct {
	Text string
	Code bool
}

// export is what a tool exports, and where that is on the page.
type export struct {
	Href, Text, Synopsis string
}

// changesPage shows what a stage changes: of the lesson changed files, then new ones; then the
// commands; then the tools that the stage introduces.
func (s *Site) changesPage(st *stage) ([]byte, error) {
	p := page{Kind: "changes", Title: s.changesLink(st.Number).Text, Prev: s.changesLink(st.Number - 1), Next: s.changesLink(st.Number + 1)}
	if lesson := s.lessonLink(st.Number); lesson != nil {
		p.Other = &link{Href: lesson.Href, Text: "Its lesson", Note: lesson.Text}
	}
	p.Path = s.pathLink(st.Number)
	data := struct {
		Stage                     string
		First                     bool
		Calls                     string
		Changed, Fresh, Commands  []changed
		Tools                     []exhibited
		Added, Lesser, ToolsAdded int
	}{Stage: st.Name(), First: st.before == "", Calls: st.callsPage()}
	group := "" // of the file before
	list := func(name, count, in string) {
		place := link{Href: "#" + name, Text: name, Note: count}
		if group != "" && group != in {
			place.Class = "apart"
		}
		group, p.Contents = in, append(p.Contents, place)
	}
	for _, f := range st.files {
		c, err := s.changed(st, f)
		if err != nil {
			return nil, err
		}
		data.Added, data.Lesser = data.Added+f.Added, data.Lesser+f.Removed
		switch {
		case f.Tier() == stages.Commands:
			data.Commands = append(data.Commands, c)
			list(f.Name, c.Count, "commands")
		case f.New:
			data.Fresh = append(data.Fresh, c)
			list(f.Name, c.Count, "fresh")
		default:
			data.Changed = append(data.Changed, c)
			list(f.Name, c.Count, "changed")
		}
	}
	for _, t := range st.tools {
		shown, err := s.exhibited(st, t)
		if err != nil {
			return nil, err
		}
		data.ToolsAdded += t.Added()
		data.Tools = append(data.Tools, shown)
		list(shown.ID, shown.Count, "tools")
	}
	p.Data = data
	return s.show(st.page(), p)
}

// exhibited is a tool's comment and what it exports; its code is folded below that.
func (s *Site) exhibited(st *stage, t *tool) (exhibited, error) {
	shown := exhibited{ID: t.Name + "/", Name: t.Name, Count: fmt.Sprintf("%d lines", t.Added())}
	for _, text := range strings.Split(t.Comment, "\n\n") {
		shown.Comment = append(shown.Comment, paragraph{text, strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "  ")})
	}
	for _, e := range t.Exports {
		shown.Exports = append(shown.Exports, export{"#" + anchor(e.File, e.Name), e.Text, e.Synopsis})
	}
	for _, f := range t.files {
		c, err := s.changed(st, f)
		if err != nil {
			return shown, err
		}
		shown.Files = append(shown.Files, c)
	}
	return shown, nil
}

func (s *Site) changed(st *stage, f *file) (changed, error) {
	c := changed{Name: f.Name, New: f.New, Gone: f.Gone, Count: fmt.Sprintf("+%d −%d", f.Added, f.Removed)}
	if f.New {
		c.Count = fmt.Sprintf("%d lines", f.Added)
	}
	c.Explained = explanation(f.explained, st)
	both, err := f.sides()
	if err != nil {
		return c, err
	}
	l := &layout{stage: st, file: f, sides: both, old: colour("go", both.before), now: colour("go", both.after)}
	c.Body = l.html(l.rows())
	return c, nil
}

// explanation leads to a passage of a lesson; nil when there is none.
func explanation(p *passage, st *stage) *link {
	if p == nil {
		return nil
	}
	text := p.heading
	if p.doc.stage != st {
		text = fmt.Sprintf("lesson %d, %s", p.doc.stage.Number, p.heading)
	}
	return &link{Href: p.doc.page + "#" + p.id, Text: text}
}

// layout lays a file's comparison out. old and now are the coloured lines of both sides.
type layout struct {
	stage    *stage
	file     *file
	sides    sides
	old, now []string
	b        strings.Builder
}

// row is a line of the comparison; what difference folds is there, marked hidden.
type rowOf struct {
	difference.Line
	hidden bool
	decl   *decl
}

// rows are all lines of the file. Lines that the comparison leaves out are alike on both sides,
// so it is found by counting.
func (l *layout) rows() []rowOf {
	var rows []rowOf
	old, now := 1, 1 // the next lines
	fill := func(n int) {
		for ; n > 0; n-- {
			rows = append(rows, rowOf{Line: difference.Line{Kind: difference.Kept, Old: old, New: now}, hidden: true})
			old, now = old+1, now+1
		}
	}
	for _, line := range l.sides.lines {
		switch line.Kind {
		case difference.Folded:
			continue
		case difference.Removed:
			fill(line.Old - old)
			old++
		case difference.Added:
			fill(line.New - now)
			now++
		default:
			fill(line.New - now)
			old, now = old+1, now+1
		}
		rows = append(rows, rowOf{Line: line})
	}
	if !l.file.New && !l.file.Gone {
		fill(strings.Count(strings.TrimSuffix(l.sides.after, "\n"), "\n") + 2 - now)
	}
	show(rows)
	l.assign(rows)
	return rows
}

// few is from how many lines on hiding them saves room.
const few = 3

// show unhides what is not worth a fold, as a blank line between two declarations.
func show(rows []rowOf) {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].hidden == rows[0].hidden {
			n++
		}
		for i := 0; i < n && n < few; i++ {
			rows[i].hidden = false
		}
		rows = rows[n:]
	}
}

// assign says which declaration each row belongs to. A removed line goes with what follows
// it; a blank line between two declarations with the one before.
func (l *layout) assign(rows []rowOf) {
	for i := len(rows) - 1; i >= 0; i-- {
		switch {
		case rows[i].New != 0:
			rows[i].decl = l.file.at(rows[i].New)
		case i+1 < len(rows) && !rows[i+1].hidden:
			rows[i].decl = rows[i+1].decl
		}
	}
	for i := 1; i < len(rows); i++ {
		if rows[i].decl == nil && rows[i].hidden == rows[i-1].hidden {
			rows[i].decl = rows[i-1].decl
		}
	}
}

// html cuts the rows into folds and hunks.
func (l *layout) html(rows []rowOf) string {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].hidden == rows[0].hidden && (rows[0].hidden || rows[n].decl == rows[0].decl) {
			n++
		}
		if rows[0].hidden {
			l.fold(rows[:n])
		} else {
			l.hunk(rows[:n])
		}
		rows = rows[n:]
	}
	return l.b.String()
}

// fold hides unchanged lines behind a summary of what they declare.
func (l *layout) fold(rows []rowOf) {
	first, last := rows[0].New, rows[len(rows)-1].New
	var names []string
	for _, d := range l.file.decls {
		if d.first >= first && d.first <= last && len(d.names) > 0 {
			names = append(names, d.title())
		}
	}
	summary := fmt.Sprintf("%d unchanged lines", len(rows))
	if len(names) > 0 {
		summary = "unchanged: " + strings.Join(names, ", ")
	}
	l.b.WriteString(`<details class="fold"><summary>` + html.EscapeString(summary) + `</summary>`)
	for len(rows) > 0 {
		n := slices.IndexFunc(rows, func(r rowOf) bool { return r.decl != rows[0].decl })
		if n < 0 {
			n = len(rows)
		}
		l.b.WriteString(`<div class="part"` + l.ids(rows[:n]) + `>`)
		l.chunks(rows[:n])
		l.b.WriteString(`</div>`)
		rows = rows[n:]
	}
	l.b.WriteString(`</details>`)
}

// hunk shows lines of one declaration, or of none, with the passage that explains them.
func (l *layout) hunk(rows []rowOf) {
	class := "hunk"
	if !slices.ContainsFunc(rows, func(r rowOf) bool { return r.Kind != difference.Kept }) {
		class = "part"
	}
	l.b.WriteString(`<div class="` + class + `"` + l.ids(rows) + `>`)
	if to := l.explained(rows[0].decl); to != nil && class == "hunk" {
		l.b.WriteString(`<a class="why" href="` + html.EscapeString(to.Href) + `"><span class="sign" aria-hidden="true">¶</span> ` + html.EscapeString(to.Text) + `</a>`)
	}
	l.chunks(rows)
	l.b.WriteString(`</div>`)
}

// explained is the passage about a declaration. One that no passage names is left to the
// file's, which is at its head: that stays in sight, so it need not be repeated.
func (l *layout) explained(d *decl) *link {
	if d == nil || d.explained == nil {
		return nil
	}
	return explanation(d.explained, l.stage)
}

// ids is the address of a declaration, where its first line is; the further names of a
// group follow as empty elements, by chunks.
func (l *layout) ids(rows []rowOf) string {
	d := rows[0].decl
	if d == nil || len(d.names) == 0 || !slices.ContainsFunc(rows, func(r rowOf) bool { return r.New == d.first }) {
		return ""
	}
	return ` id="` + html.EscapeString(anchor(l.file.Name, d.names[0])) + `"`
}

// chunks shows rows as blocks that are alike on both sides, and blocks that are not: what
// was, then what is. Side by side, the two are beside each other.
func (l *layout) chunks(rows []rowOf) {
	l.furtherIDs(rows)
	for len(rows) > 0 {
		n := 0
		for n < len(rows) && rows[n].Kind == difference.Kept {
			n++
		}
		l.block("both", rows[:n])
		rows = rows[n:]
		n = 0
		for n < len(rows) && rows[n].Kind != difference.Kept {
			n++
		}
		if n > 0 {
			l.b.WriteString(`<div class="edit">`)
			l.block("old", only(rows[:n], difference.Removed))
			l.block("new", only(rows[:n], difference.Added))
			l.b.WriteString(`</div>`)
		}
		rows = rows[n:]
	}
}

func (l *layout) furtherIDs(rows []rowOf) {
	if d := rows[0].decl; d != nil && l.ids(rows) != "" {
		for _, name := range d.names[1:] {
			if name != "_" {
				l.b.WriteString(`<span id="` + html.EscapeString(anchor(l.file.Name, name)) + `"></span>`)
			}
		}
	}
}

func only(rows []rowOf, kind difference.Kind) []rowOf {
	return slices.DeleteFunc(slices.Clone(rows), func(r rowOf) bool { return r.Kind != kind })
}

// block shows lines of one side; those of both sides have both numbers.
func (l *layout) block(class string, rows []rowOf) {
	if len(rows) == 0 {
		return
	}
	l.b.WriteString(`<pre class="` + class + `"><code>`)
	for _, r := range rows {
		number, text := r.New, ""
		if r.Kind == difference.Removed {
			number, text = r.Old, lineOf(l.old, r.Old)
		} else {
			text = lineOf(l.now, r.New)
		}
		was := ""
		if class == "both" && r.Old != r.New {
			was = fmt.Sprintf(` data-o="%d"`, r.Old)
		}
		fmt.Fprintf(&l.b, `<span class="l" data-n="%d"%s>%s</span>`, number, was, text+"\n")
	}
	l.b.WriteString(`</code></pre>`)
}

func lineOf(lines []string, n int) string {
	if n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}
