package site

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

//go:embed assets
var embedded embed.FS

var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{"safe": func(s string) template.HTML { return template.HTML(s) }, "code": code}).
		ParseFS(embedded, "assets/*.tmpl"))
})

// assets are the style sheet and the scripts.
var assets = sync.OnceValue(func() map[string][]byte {
	files := map[string][]byte{}
	names, err := fs.Glob(embedded, "assets/*.[cjs]*")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, name := range names {
		data, err := embedded.ReadFile(name)
		if err != nil {
			panic(err) // it was listed a moment ago
		}
		files[filepath.Base(name)] = data
	}
	return files
})

// page is what the frame of every page needs. Links are relative to it.
type page struct {
	Template    string
	Title, Kind string
	Up          string // to the site's root: "" or "../"
	Live        bool
	Play        bool // whether terminals are beside a lesson
	Prev, Next  *link
	Other       *link // from a lesson to what its stage changes, and back
	Path        *link // to the stage's reading path
	Contents    []link
	Body        string // HTML
	Data        any
}

// link is a place to go to.
type link struct {
	Href, Text, Note string
	Class            string
}

// show fills the frame.
func (s *Site) show(name string, p page) ([]byte, error) {
	p.Up, p.Live = strings.Repeat("../", strings.Count(name, "/")), s.live
	p.Play = s.play && p.Kind == "lesson"
	var b bytes.Buffer
	err := templates().ExecuteTemplate(&b, "page.tmpl", p)
	return b.Bytes(), err
}

// documentPage is a lesson, the index or another text.
func (s *Site) documentPage(d *document) ([]byte, error) {
	if d.name == "lessons/README.md" {
		return s.indexPage(d)
	}
	body, err := s.html(d)
	if err != nil {
		return nil, err
	}
	p := page{Title: d.title, Kind: "text", Body: body, Contents: d.contents()}
	if d.stage != nil {
		n := d.stage.Number
		p.Kind = "lesson"
		p.Prev, p.Next = s.lessonLink(n-1), s.lessonLink(n+1)
		p.Other = &link{Href: d.stage.page(), Text: "What it changes", Note: fmt.Sprintf("the code of stage %d beside that of the one before", n)}
		p.Path = s.pathLink(n)
	}
	return s.show(d.page, p)
}

// contents are the headings below the title.
func (d *document) contents() []link {
	var list []link
	for _, sec := range d.sections {
		if sec.level == 2 {
			list = append(list, link{Href: "#" + sec.id, Text: sec.title})
		}
	}
	return list
}

// lessonLink leads to a stage's lesson; nil when there is none.
func (s *Site) lessonLink(n int) *link {
	if n < 1 || n > len(s.lessons) || s.lessons[n-1] == nil {
		return nil
	}
	d := s.lessons[n-1]
	return &link{Href: d.page, Text: d.title}
}

// changesLink leads to what a stage changes; nil when there is no such stage.
func (s *Site) changesLink(n int) *link {
	if n < 1 || n > len(s.stages) {
		return nil
	}
	return &link{Href: s.stages[n-1].page(), Text: fmt.Sprintf("What stage %d changes", n)}
}

// entry is a lesson in the index.
type entry struct {
	Number                         int
	Title, Question, Minutes       string
	Lesson, Changes, Stage         string
	Files, NewFiles, Added, Lesser int
	Tools                          int // lines of the packages that the stage introduces
}

// row is a lesson in the table of lessons/README.md.
var row = regexp.MustCompile(`(?m)^\| \[\d+ ([^\]]+)\]\(([^)]+)\) \| (.*?) \| (\d+) \|$`)

// indexPage is lessons/README.md with its table made into a list of contents.
func (s *Site) indexPage(d *document) ([]byte, error) {
	entries := s.entries(d)
	body, err := s.html(d)
	if err != nil {
		return nil, err
	}
	lead, rest := body, ""
	if before, after, found := strings.Cut(body, "<table>"); found && len(entries) > 0 {
		lead = before
		_, rest, _ = strings.Cut(after, "</table>")
	}
	_, lead, _ = strings.Cut(lead, "</h1>")
	return s.show(d.page, page{Title: "Stagebox", Kind: "index", Body: rest, Data: struct {
		Lead    string
		Lessons []entry
	}{lead, entries}})
}

// entries are the rows of the table of lessons.
func (s *Site) entries(d *document) (entries []entry) {
	for _, m := range row.FindAllStringSubmatch(string(d.source), -1) {
		for i, lesson := range s.lessons {
			if lesson != nil && lesson.name == "lessons/"+m[2] {
				entries = append(entries, s.entry(i, m))
			}
		}
	}
	return entries
}

func (s *Site) entry(i int, m []string) entry {
	st := s.stages[i]
	e := entry{Number: i + 1, Title: m[1], Question: m[3], Minutes: m[4], Lesson: s.lessons[i].page, Changes: st.page(), Stage: st.Name(), Files: len(st.files)}
	for _, f := range st.files {
		e.Added, e.Lesser = e.Added+f.Added, e.Lesser+f.Removed
		if f.New {
			e.NewFiles++
		}
	}
	for _, t := range st.tools {
		e.Tools += t.Added()
	}
	return e
}

// sourcePage shows a file that prose links to; a picture is left as it is.
func (s *Site) sourcePage(name, source string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(s.root, source))
	if err != nil || !strings.HasSuffix(name, ".html") {
		return data, err
	}
	language := strings.TrimPrefix(filepath.Ext(source), ".")
	lines := colour(language, string(data))
	body := "<h1><code>" + template.HTMLEscapeString(source) + "</code></h1>\n<pre class=\"wide\"><code>" + strings.Join(lines, "\n") + "\n</code></pre>"
	return s.show(name, page{Title: source, Kind: "text", Body: body})
}
