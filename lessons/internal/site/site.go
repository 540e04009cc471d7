// Package site makes the workshop's pages: the lessons, what each stage changes in the one
// before, and the two lists of system calls beside it. Pages are plain files with relative
// links, so that any host can serve them; Server serves them from this machine and follows
// the tree. It reads the repository and writes nothing in it.
package site

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/paths"
	"stagebox/lessons/internal/stages"
)

// Calls returns a stage's list of system calls, a line each, as stages.Stage.Plan does.
type Calls func(context.Context, stages.Stage) ([]string, error)

// Site is the whole of it at one state of the tree. Pages are rendered when they are first
// asked for.
type Site struct {
	root    string
	live    bool
	play    bool // terminals are beside the lessons
	calls   Calls
	docs    []*document // all Markdown, lessons first
	lessons []*document // by stage; nil where a stage has none
	stages  []*stage
	sources map[string]string // files that prose links to: path in the tree, by page

	mu       sync.Mutex
	rendered map[string][]byte
	size     int // of all in rendered
}

// stage is a stage and what it changes.
type stage struct {
	stages.Stage
	before string // directory of the stage before, "" for the first
	files  []*file
	tools  []*tool // which it introduces

	path      *paths.Path // nil when there is none
	wrongPath []string    // what of it does not resolve
}

// tool is a package that a stage introduces, with the text of its files.
type tool struct {
	difference.Tool
	files []*file
}

// all are the files that the stage changes, and those of its tools.
func (st *stage) all() []*file {
	files := slices.Clone(st.files)
	for _, t := range st.tools {
		files = append(files, t.files...)
	}
	return files
}

// Load reads the tree at root. Calls is asked when a list of system calls is shown; live is
// whether pages link to the live page, which only Server has.
func Load(root string, calls Calls, live bool) (*Site, error) {
	s := &Site{root: root, calls: calls, live: live, sources: map[string]string{}, rendered: map[string][]byte{}}
	all, err := stages.All(root)
	if err != nil {
		return nil, err
	}
	before := ""
	for _, one := range all {
		st, err := newStage(one, before)
		if err != nil {
			return nil, err
		}
		s.stages, before = append(s.stages, st), one.Dir
	}
	for _, st := range s.stages {
		s.loadPath(st)
	}
	if err := s.loadDocuments(); err != nil {
		return nil, err
	}
	s.explain()
	return s, nil
}

func newStage(one stages.Stage, before string) (*stage, error) {
	st := &stage{Stage: one, before: before}
	files, err := difference.Dirs(before, one.Dir, false)
	if err != nil {
		return nil, err
	}
	if st.files, err = loadFiles(files, before, one.Dir); err != nil {
		return nil, err
	}
	tools, err := difference.Tools(one, false)
	if err != nil {
		return nil, err
	}
	for _, t := range tools {
		loaded, err := loadFiles(t.Files, "", one.Dir)
		if err != nil {
			return nil, err
		}
		for i := range t.Files {
			t.Files[i].Lines = nil // as the loaded ones
		}
		st.tools = append(st.tools, &tool{t, loaded})
	}
	return st, nil
}

// loadDocuments reads the README and all Markdown below lessons.
func (s *Site) loadDocuments() error {
	names, err := markdownFiles(s.root)
	if err != nil {
		return err
	}
	s.lessons = make([]*document, len(s.stages))
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(s.root, name))
		if err != nil {
			return err
		}
		d := s.parse(name, text)
		s.docs = append(s.docs, d)
		for i, st := range s.stages {
			if st.Lesson() == name {
				s.lessons[i], d.stage = d, st
			}
		}
	}
	for _, d := range s.docs {
		s.collectLinks(d)
	}
	return nil
}

// Paths are the names of all pages and other files, such as "01-namespaces.html", sorted.
func (s *Site) Paths() []string {
	names := []string{"search.json"}
	if s.index() != nil {
		names = append(names, handoutName)
	}
	for _, d := range s.docs {
		names = append(names, d.page)
	}
	for _, st := range s.stages {
		names = append(names, st.page(), st.callsPage())
		if st.path != nil {
			names = append(names, st.pathPage())
		}
	}
	for page := range s.sources {
		names = append(names, page)
	}
	for name := range assets() {
		names = append(names, "assets/"+name)
	}
	slices.Sort(names)
	return names
}

// File returns a page or another file by its name among Paths; nil when there is none.
func (s *Site) File(ctx context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	data := s.rendered[name]
	s.mu.Unlock()
	if data != nil {
		return data, nil
	}
	data, err := s.render(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("the page %s: %w", name, err)
	}
	s.keep(name, data)
	return data, nil
}

// keptPages is how many bytes of pages are kept. Above it, all are rendered again: some pages of
// changes have megabytes.
const keptPages = 2 << 20

func (s *Site) keep(name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size += len(data); s.size > keptPages {
		clear(s.rendered)
		s.size = len(data)
	}
	s.rendered[name] = data
}

func (s *Site) render(ctx context.Context, name string) ([]byte, error) {
	if name == "search.json" {
		return s.searchIndex()
	}
	if name == handoutName && s.index() != nil {
		return s.handoutPage()
	}
	if asset, ok := strings.CutPrefix(name, "assets/"); ok {
		return assets()[asset], nil
	}
	if source, ok := s.sources[name]; ok {
		return s.sourcePage(name, source)
	}
	for _, d := range s.docs {
		if d.page == name {
			return s.documentPage(d)
		}
	}
	for _, st := range s.stages {
		switch name {
		case st.page():
			return s.changesPage(st)
		case st.callsPage():
			return s.callsPage(ctx, st)
		case st.pathPage():
			if st.path != nil {
				return s.readingPage(st)
			}
		}
	}
	return nil, nil
}

// page is where the stage's changes are shown.
func (st *stage) page() string { return st.Name() + ".html" }

// callsPage is where its list of system calls is.
func (st *stage) callsPage() string { return st.Name() + "-calls.html" }

// relative is the way from one page to another.
func relative(from, to string) string {
	up := strings.Repeat("../", strings.Count(from, "/"))
	if dir := path.Dir(from); dir != "." && strings.HasPrefix(to, dir+"/") {
		return strings.TrimPrefix(to, dir+"/")
	}
	return up + to
}
