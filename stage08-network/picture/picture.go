// Package picture draws a network: the host, and a container at each link of its bridge, as
// text for a terminal or as SVG for a browser. It knows nothing of networks; it is given the
// lines in each box.
package picture

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

// Network is what a picture shows.
type Network struct {
	Host       []string // the lines of the host's box
	Containers []Container
}

// Container is a box at the end of a link.
type Container struct {
	Link  string   // the name of the link on the host, beside the line that leads to it
	Lines []string // what the box says
}

// Form is how a network is drawn: "text", "svg", or "" for not at all. As a flag it needs no value.
type Form string

// IsBool has kong take the flag without a value.
func (Form) IsBool() bool { return true }

// Decode reads --picture, --picture=text and --picture=svg.
func (f *Form) Decode(ctx *kong.DecodeContext) error {
	*f = "text"
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return nil
	}
	value := fmt.Sprint(ctx.Scan.Pop().Value)
	if *f = Form(value); value != "text" && value != "svg" {
		return fmt.Errorf("unknown kind of picture %q: use --picture or --picture=svg", value)
	}
	return nil
}

// In draws the network in a form.
func (n *Network) In(f Form) string {
	if f == "svg" {
		return n.SVG()
	}
	return n.Text()
}

// Text draws with characters, the host on top and below it a container at each link.
func (n *Network) Text() string {
	var b strings.Builder
	frame(&b, "", n.Host)
	for _, c := range n.Containers {
		fmt.Fprintf(&b, "  │\n  ├── %s\n", c.Link)
		frame(&b, "  │   ", c.Lines)
	}
	return b.String()
}

func frame(b *strings.Builder, indent string, lines []string) {
	width := 0
	for _, line := range lines {
		width = max(width, utf8.RuneCountInString(line))
	}
	fmt.Fprintf(b, "%s┌─%s─┐\n", indent, strings.Repeat("─", width))
	for _, line := range lines {
		fmt.Fprintf(b, "%s│ %-*s │\n", indent, width, line)
	}
	fmt.Fprintf(b, "%s└─%s─┘\n", indent, strings.Repeat("─", width))
}

// Sizes of an SVG, in pixels: a line of text, a container's box, and the space between two.
const (
	line  = 18
	width = 290
	gap   = 30
)

// boxHeight is the height of a box with so many lines.
func boxHeight(lines int) int { return line*lines + 14 }

// SVG draws the containers side by side, each at a link below the host.
func (n *Network) SVG() string {
	tallest := 0
	for _, c := range n.Containers {
		tallest = max(tallest, len(c.Lines))
	}
	total := max(1, len(n.Containers))*(width+gap) + gap
	bottom := gap + boxHeight(len(n.Host))
	top := bottom + 4*line
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"`+
		` font-family="monospace" font-size="12">`+"\n", total, top+boxHeight(tallest)+gap)
	rectangle(&b, gap, gap, total-2*gap, "#eef4fb", n.Host)
	for i, c := range n.Containers {
		x := gap + i*(width+gap)
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%[1]d" y2="%[3]d" stroke="#345" stroke-width="2"/>`+
			"\n", x+width/2, bottom, top)
		text(&b, x+width/2+8, bottom+2*line, c.Link)
		rectangle(&b, x, top, width, "#fdf6e3", c.Lines)
	}
	return b.String() + "</svg>\n"
}

func rectangle(b *strings.Builder, x, y, width int, fill string, lines []string) {
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="%s" stroke="#345"/>`+"\n",
		x, y, width, boxHeight(len(lines)), fill)
	for i, s := range lines {
		text(b, x+10, y+line*(i+1)+2, s)
	}
}

func text(b *strings.Builder, x, y int, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", x, y, html.EscapeString(s))
}
