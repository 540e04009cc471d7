package site

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// prose renders what is particular in our Markdown: terminal sessions, names of code that
// lead to it, and headings with their own address.
type prose struct {
	site *Site
	doc  *document
}

// RegisterFuncs is goldmark's.
func (p *prose) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindFencedCodeBlock, p.fenced)
	r.Register(ast.KindCodeBlock, p.indented)
	r.Register(ast.KindCodeSpan, p.codeSpan)
	r.Register(ast.KindHeading, p.heading)
}

func (p *prose) fenced(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	n := node.(*ast.FencedCodeBlock)
	info, text := "", string(n.Lines().Value(source))
	if n.Info != nil {
		info = string(n.Info.Segment.Value(source))
	}
	at := idOf(n)
	if strings.HasPrefix(info, "console") {
		shown, err := session(at, info, text)
		_, _ = w.WriteString(shown) // a bufio.Writer keeps its error
		return ast.WalkContinue, err
	}
	language := string(n.Language(source))
	if language == "sh" { // commands: the playground types them
		at += ` data-language="sh"`
		if _, terminal, named := strings.Cut(info, " terminal="); named {
			at += ` data-terminal="` + html.EscapeString(terminal) + `"`
		}
	}
	writeCode(w, at, colour(language, text))
	return ast.WalkContinue, nil
}

func (p *prose) indented(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		writeCode(w, idOf(n), plain(string(n.Lines().Value(source))))
	}
	return ast.WalkContinue, nil
}

// writeCode writes lines of HTML as a block that scrolls when it is too wide.
func writeCode(w util.BufWriter, id string, lines []string) {
	_, _ = w.WriteString(`<pre class="wide"` + id + `><code>` + strings.Join(lines, "\n") + "\n</code></pre>\n")
}

// codeSpan links `plan.go:Plan.Execve` to the code, unless it is part of a link already.
func (p *prose) codeSpan(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	text := p.doc.textOf(n)
	code := "<code>" + html.EscapeString(text) + "</code>"
	if to := p.code(text); to != "" && n.Parent().Kind() != ast.KindLink {
		code = `<a class="code" href="` + html.EscapeString(relative(p.doc.page, to)) + `">` + code + `</a>`
	}
	_, _ = w.WriteString(code)
	return ast.WalkSkipChildren, nil
}

// code is where the code that a text names is shown, "" when it names none.
func (p *prose) code(text string) string {
	m := named.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	if p.doc.stage == nil {
		return ""
	}
	return p.site.codeLink(p.doc.stage.Number, m[1], m[2])
}

func (p *prose) heading(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.Heading)
	tag := "h" + string(rune('0'+n.Level))
	if entering {
		_, _ = w.WriteString("<" + tag + idOf(n) + ">")
		return ast.WalkContinue, nil
	}
	_, _ = w.WriteString("</" + tag + ">\n")
	return ast.WalkContinue, nil
}

// idOf is a node's id as an attribute, "" when it has none.
func idOf(n ast.Node) string {
	if id, ok := n.AttributeString("id"); ok {
		return ` id="` + html.EscapeString(string(id.([]byte))) + `"`
	}
	return ""
}

// html is the document's text as HTML. A table's corner that says nothing is not a heading.
func (s *Site) html(d *document) (string, error) {
	var b bytes.Buffer
	err := s.markdown(d).Renderer().Render(&b, d.source, d.tree)
	return withJoints(strings.ReplaceAll(b.String(), "<th></th>", "<td></td>")), err
}

var (
	cell  = regexp.MustCompile(`(?s)<td[^>]*>.*?</td>`)
	words = regexp.MustCompile(`>[^<]+<`)
	joint = regexp.MustCompile(`[_/.]+\pL`)
)

// withJoints lets a long name in a table break after its parts: on a phone there is no room for
// mount_namespaces(7) in a column, and a browser would break it anywhere.
func withJoints(page string) string {
	return cell.ReplaceAllStringFunc(page, func(text string) string {
		return words.ReplaceAllStringFunc(text, func(text string) string {
			return joint.ReplaceAllStringFunc(text, func(text string) string {
				_, size := utf8.DecodeLastRuneInString(text)
				return text[:len(text)-size] + "<wbr>" + text[len(text)-size:]
			})
		})
	})
}
