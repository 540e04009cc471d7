package site

import (
	"fmt"
	"html"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	rendererhtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// document is a Markdown file as a page.
type document struct {
	name, page string // "lessons/01-namespaces.md", "01-namespaces.html"
	title      string
	stage      *stage // whose lesson it is, or nil
	source     []byte
	tree       ast.Node
	sections   []section
	mentions   []mention
}

// section is a heading, and the words up to the next one.
type section struct {
	level     int
	id, title string
	words     strings.Builder
}

// markdownFiles are the README and what lies below lessons, the lessons first.
func markdownFiles(root string) ([]string, error) {
	names := []string{}
	err := filepath.WalkDir(filepath.Join(root, "lessons"), func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "internal" || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(p, ".md") {
			name, err := filepath.Rel(root, p)
			names = append(names, filepath.ToSlash(name))
			return err
		}
		return nil
	})
	return append(names, "README.md"), err
}

// pageOf names the page of a Markdown file.
func pageOf(name string) string {
	if name == "README.md" {
		return "start.html"
	}
	name = strings.TrimPrefix(name, "lessons/")
	if path.Base(name) == "README.md" {
		return path.Join(path.Dir(name), "index.html")
	}
	return strings.TrimSuffix(name, ".md") + ".html"
}

// markdown reads what GitHub shows, and quotes become “quotes”.
func (s *Site) markdown(d *document) goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(
			extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
			extension.NewTypographer(extension.WithTypographicSubstitutions(extension.TypographicSubstitutions{
				extension.EnDash: nil, extension.EmDash: nil, extension.Ellipsis: nil,
				extension.LeftAngleQuote: nil, extension.RightAngleQuote: nil,
			}))),
		goldmark.WithRendererOptions(
			rendererhtml.WithUnsafe(), // the prose is as much ours as the code is
			renderer.WithNodeRenderers(util.Prioritized(&prose{s, d}, 100))))
}

// parse reads a document, gives its headings and the passages about code their ids, and
// keeps the words for the search.
func (s *Site) parse(name string, source []byte) *document {
	d := &document{name: name, page: pageOf(name), source: source}
	d.tree = s.markdown(d).Parser().Parse(text.NewReader(source))
	passages := map[ast.Node]*passage{}
	_ = ast.Walk(d.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the visit never fails
		if entering {
			d.visit(n, passages)
		}
		return ast.WalkContinue, nil
	})
	return d
}

func (d *document) visit(n ast.Node, passages map[ast.Node]*passage) {
	switch n := n.(type) {
	case *ast.Heading:
		d.heading(n)
	case *ast.CodeSpan:
		if m := named.FindStringSubmatch(d.textOf(n)); m != nil {
			d.mentions = append(d.mentions, mention{m[1], m[2], false, d.passageAround(n, passages)})
		}
		d.atWork(d.textOf(n), n, passages)
	case *ast.Text:
		d.say(string(n.Segment.Value(d.source)), n.SoftLineBreak() || n.NextSibling() == nil && n.Parent().Type() == ast.TypeBlock)
	case *ast.String: // a quote or an apostrophe
		d.say(html.UnescapeString(string(n.Value)), false)
	case *ast.FencedCodeBlock:
		d.say(string(n.Lines().Value(d.source)), true)
		d.atWork(string(n.Lines().Value(d.source)), n, passages)
	}
}

// atWork keeps which commands and flags a text uses.
func (d *document) atWork(text string, n ast.Node, passages map[ast.Node]*passage) {
	for _, m := range used.FindAllStringSubmatch(text, -1) {
		d.mentions = append(d.mentions, mention{m[1] + ".go", "", true, d.passageAround(n, passages)})
	}
}

// say adds words to the section that is being read.
func (d *document) say(words string, end bool) {
	if len(d.sections) == 0 {
		return
	}
	b := &d.sections[len(d.sections)-1].words
	b.WriteString(words)
	if end {
		b.WriteByte(' ')
	}
}

// heading begins a section, with GitHub's anchor.
func (d *document) heading(n *ast.Heading) {
	title := d.textOf(n)
	id := slug(string(n.Lines().Value(d.source)))
	base := id
	for i := 1; slices.ContainsFunc(d.sections, func(s section) bool { return s.id == id }); i++ {
		id = fmt.Sprintf("%s-%d", base, i)
	}
	n.SetAttributeString("id", []byte(id))
	if n.Level == 1 && d.title == "" {
		d.title = title
	}
	d.sections = append(d.sections, section{level: n.Level, id: id, title: title})
}

func slug(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}

// textOf is what a reader sees of an inline node, without its marks.
func (d *document) textOf(n ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the visit never fails
		switch n := n.(type) {
		case *ast.Text:
			if entering {
				b.Write(n.Segment.Value(d.source))
			}
		case *ast.String:
			if entering {
				b.WriteString(html.UnescapeString(string(n.Value)))
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// passageAround is the paragraph, item or row that a node is in.
func (d *document) passageAround(n ast.Node, known map[ast.Node]*passage) *passage {
	block := n
	for block.Type() != ast.TypeBlock || block.Kind() == ast.KindTextBlock || block.Kind() == east.KindTableCell {
		block = block.Parent()
	}
	if known[block] != nil {
		return known[block]
	}
	p := &passage{doc: d, id: fmt.Sprintf("p%d", len(known)+1)}
	if len(d.sections) > 0 {
		p.heading = d.sections[len(d.sections)-1].title
	}
	if id, ok := block.AttributeString("id"); ok {
		p.id = string(id.([]byte))
	} else {
		block.SetAttributeString("id", []byte(p.id))
	}
	known[block] = p
	return p
}

// collectLinks turns links inside the tree to links between pages. One that leads to
// nothing that the site shows becomes plain text.
func (s *Site) collectLinks(d *document) {
	var links []ast.Node
	_ = ast.Walk(d.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the visit never fails
		if entering && (n.Kind() == ast.KindLink || n.Kind() == ast.KindImage) {
			links = append(links, n)
		}
		return ast.WalkContinue, nil
	})
	for _, n := range links {
		switch n := n.(type) {
		case *ast.Link:
			to, ok := s.resolve(d, string(n.Destination))
			if n.Destination = []byte(to); !ok {
				unlink(n)
			}
		case *ast.Image:
			if to, ok := s.picture(d, string(n.Destination)); ok {
				n.Destination = []byte(to)
			}
		}
	}
}

// unlink puts what a link shows in its place.
func unlink(n ast.Node) {
	for c := n.FirstChild(); c != nil; c = n.FirstChild() {
		n.Parent().InsertBefore(n.Parent(), n, c)
	}
	n.Parent().RemoveChild(n.Parent(), n)
}

// resolve is where a link of a document leads on the site.
func (s *Site) resolve(d *document, to string) (string, bool) {
	target, hash, _ := strings.Cut(to, "#")
	if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return to, true
	}
	name := path.Join(path.Dir(d.name), target)
	page := s.shows(name)
	if page == "" {
		return to, false
	}
	if hash != "" {
		page, _, _ = strings.Cut(page, "#")
		page += "#" + hash
	}
	return relative(d.page, page), true
}

// shows is the page that shows a file or directory of the tree, "" when none does.
func (s *Site) shows(name string) string {
	for _, d := range s.docs {
		if d.name == name || d.name == path.Join(name, "README.md") {
			return d.page
		}
	}
	for _, st := range s.stages {
		if name == st.Name() {
			return st.page()
		}
		for _, t := range st.tools {
			if name == t.Path() {
				return st.page() + "#" + t.Name + "/"
			}
		}
		if file, ok := strings.CutPrefix(name, st.Name()+"/"); ok {
			if link := s.codeLink(st.Number, file, ""); link != "" {
				return link
			}
		}
	}
	info, err := os.Stat(filepath.Join(s.root, name))
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	page := "files/" + name + ".html"
	s.sources[page] = name
	return page
}

// picture is the address of a picture of the tree.
func (s *Site) picture(d *document, to string) (string, bool) {
	name := path.Join(path.Dir(d.name), to)
	if info, err := os.Stat(filepath.Join(s.root, name)); err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	page := "files/" + name
	s.sources[page] = name
	return relative(d.page, page), true
}
