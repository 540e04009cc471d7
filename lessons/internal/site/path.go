package site

import (
	"cmp"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"slices"
	"strings"

	"stagebox/lessons/internal/paths"
	"stagebox/lessons/internal/stages"
)

// stop is an entry of a reading path on its page.
type stop struct {
	Section, SectionID string
	ID, Name, Sentence string
	Count              int
	Code               string // HTML
}

// loadPath reads the reading path of a stage. While the code is being edited, some of its names
// may not resolve: what does is shown, and the rest is said on the page.
func (s *Site) loadPath(st *stage) {
	all := make([]stages.Stage, len(s.stages))
	for i, one := range s.stages {
		all[i] = one.Stage
	}
	p, err := paths.Read(all, st.Number)
	if errors.Is(err, fs.ErrNotExist) && len(p.Entries) == 0 {
		return
	}
	if st.path = &p; err != nil {
		st.wrongPath = strings.Split(err.Error(), "\n")
	}
	slices.SortStableFunc(st.files, func(a, b *file) int { return cmp.Compare(st.place(a), st.place(b)) })
}

// place is where the reading path first comes to a file; what it does not name is at its end.
func (st *stage) place(f *file) int {
	i := slices.IndexFunc(st.path.Entries, func(e paths.Entry) bool { return e.File == f.Name })
	if i < 0 {
		return len(st.path.Entries)
	}
	return i
}

// pathPage is where the stage's reading path is.
func (st *stage) pathPage() string { return st.Name() + "-path.html" }

// pathLink leads to a stage's reading path; nil when there is none.
func (s *Site) pathLink(n int) *link {
	if n < 1 || n > len(s.stages) || s.stages[n-1].path == nil {
		return nil
	}
	st := s.stages[n-1]
	return &link{Href: st.pathPage(), Text: fmt.Sprintf("Reading stage %d", n), Note: fmt.Sprintf("%d lines in reading order", st.path.Lines())}
}

// readingPage shows what to read of a stage, in order and whole.
func (s *Site) readingPage(st *stage) ([]byte, error) {
	p := page{Kind: "path", Title: s.pathLink(st.Number).Text, Prev: s.pathLink(st.Number - 1), Next: s.pathLink(st.Number + 1)}
	p.Other = s.lessonLink(st.Number)
	data := struct {
		Lines   int
		Changes string
		Wrong   []string
		Stops   []stop
	}{Lines: st.path.Lines(), Changes: st.page(), Wrong: st.wrongPath}
	for i, e := range st.path.Entries {
		one := stop{ID: anchor(e.File, e.Name), Name: e.String(), Sentence: e.Sentence, Count: len(e.Code), Code: numbered(e)}
		if e.Section != "" {
			one.Section, one.SectionID = e.Section, fmt.Sprintf("part-%d", i)
			p.Contents = append(p.Contents, link{Href: "#" + one.SectionID, Text: e.Section})
		}
		data.Stops = append(data.Stops, one)
	}
	p.Data = data
	return s.show(st.pathPage(), p)
}

// numbered is the code of an entry with the numbers that its lines have in the file.
func numbered(e paths.Entry) string {
	var b strings.Builder
	for i, line := range colour("go", strings.Join(e.Code, "\n")) {
		fmt.Fprintf(&b, `<span class="l" data-n="%d">%s</span>`, e.First+i, line+"\n")
	}
	return `<pre class="both"><code>` + b.String() + `</code></pre>`
}

// code is a sentence in which `this` is code, as in Markdown.
func code(sentence string) string {
	parts := strings.Split(html.EscapeString(sentence), "`")
	for i := 1; i < len(parts)-1; i += 2 {
		parts[i] = "<code>" + parts[i] + "</code>"
	}
	return strings.Join(parts, "")
}
