package pictures

import (
	_ "embed"
	"fmt"
	"html"
	"strings"
)

// style holds the colours, for a light and a dark screen. The drawing brings its own ground,
// so that it can be read on a page whose scheme is not the screen's.
//
//go:embed style.css
var style string

// width is that of every drawing. A phone shows it at 360 pixels, and text of 15 then has 11.
const width = 480

// margin is left free at each side.
const margin = 20

// drawing is an SVG in the making. Lengths are in pixels at full size, y grows downwards, and
// what is drawn later lies on top. Classes are those of style.css.
type drawing struct {
	title, desc string // for who cannot see it
	body        strings.Builder
	bottom      int // how far down something was drawn
}

// newDrawing begins with a heading, which is also the title.
func newDrawing(title, desc string) *drawing {
	d := &drawing{title: title, desc: desc}
	d.text(margin, 36, "head", title)
	return d
}

// text writes one line; x is where it begins, or ends with the class "end", y the foot of its letters.
func (d *drawing) text(x, y int, class, text string) {
	fmt.Fprintf(&d.body, "<text x=\"%d\" y=\"%d\"%s>%s</text>\n", x, y, attribute(class), html.EscapeString(text))
	d.bottom = max(d.bottom, y)
}

// paragraph writes lines 20 apart, of so many letters at most, and returns where the next would be.
func (d *drawing) paragraph(x, y int, class, text string, letters int) int {
	for _, line := range wrap(text, letters) {
		d.text(x, y, class, line)
		y += 20
	}
	return y
}

func (d *drawing) rect(x, y, w, h int, class string) {
	fmt.Fprintf(&d.body, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"%s/>\n", x, y, w, h, attribute(class))
	d.bottom = max(d.bottom, y+h)
}

func (d *drawing) dot(x, y int, class string) {
	fmt.Fprintf(&d.body, "<circle cx=\"%d\" cy=\"%d\" r=\"6\"%s/>\n", x, y, attribute("dot "+class))
}

// line draws through the points, given as x, y, x, y…
func (d *drawing) line(class string, points ...int) {
	fmt.Fprintf(&d.body, "<path d=\"%s\"%s/>\n", through(points), attribute(class))
}

// arrow is a line whose last part, which must be level or upright, ends in a tip.
func (d *drawing) arrow(class string, points ...int) {
	d.line(class, points...)
	n := len(points)
	x, y := points[n-2], points[n-1]
	dx, dy := sign(x-points[n-4]), sign(y-points[n-3])
	d.line(strings.ReplaceAll(class, "dash", ""), x-7*dx-5*dy, y-7*dy-5*dx, x, y, x-7*dx+5*dy, y-7*dy+5*dx)
}

// chip is a word in a box of its own, 92 wide and 24 high.
func (d *drawing) chip(x, y int, class, word string) {
	d.rect(x, y, 92, 24, class)
	d.text(x+46, y+17, "mid "+class, word)
}

// String is the finished file.
func (d *drawing) String() string {
	height := d.bottom + margin
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %[2]d\" role=\"img\">\n"+
		"<title>%s</title>\n<desc>%s</desc>\n<style>\n%s</style>\n"+
		"<rect x=\"1\" y=\"1\" width=\"%d\" height=\"%d\" rx=\"10\" class=\"card\"/>\n%s</svg>\n",
		width, height, html.EscapeString(d.title), html.EscapeString(d.desc), style, width-2, height-2, d.body.String())
}

func attribute(class string) string {
	if class = strings.TrimSpace(class); class == "" {
		return ""
	}
	return ` class="` + class + `"`
}

func through(points []int) string {
	var b strings.Builder
	for i := 0; i < len(points); i += 2 {
		fmt.Fprintf(&b, "%c%d %d", "ML"[min(i, 1)], points[i], points[i+1])
	}
	return b.String()
}

func sign(n int) int {
	return max(-1, min(1, n))
}

// wrap breaks between words.
func wrap(text string, letters int) []string {
	var lines []string
	for word := range strings.FieldsSeq(text) {
		if n := len(lines) - 1; n >= 0 && len([]rune(lines[n]))+1+len([]rune(word)) <= letters {
			lines[n] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}

// cut shortens with an ellipsis.
func cut(text string, letters int) string {
	if r := []rune(text); len(r) > letters {
		return string(r[:letters-1]) + "…"
	}
	return text
}
