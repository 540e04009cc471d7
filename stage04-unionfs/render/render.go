// Package render draws a stack of layers as a picture, in text for a terminal or as SVG for a
// browser. No lesson reads it.
package render

import (
	"fmt"
	"html"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"stagebox/stage04-unionfs/union"
)

// Stack is a picture of layers.
type Stack struct {
	Name   string // of the container that sees them as one
	Layers []Layer
}

// Layer is a box in the picture; the first one is drawn on top.
type Layer struct{ Title, Text string }

// Container is the picture of a container: its own layer with what has changed there, the layers
// below it, the top one first, and the one with the mount points.
func Container(name, id string, changes []union.Change, layers []string) Stack {
	counts := map[byte]int{}
	for _, change := range changes {
		counts[change.Kind]++
	}
	own := fmt.Sprintf("%s: %d added, %d changed, %d deleted",
		filepath.Join("containers", id[:12]+"…", "upper"), counts['A'], counts['C'], counts['D'])
	all := []Layer{{Title: name + ", to write to", Text: own}}
	for i, dir := range layers {
		all = append(all, Layer{Title: fmt.Sprintf("layer %d, to read only", len(layers)-i), Text: dir})
	}
	all = append(all, Layer{Title: "mount points that every container has", Text: "mountpoints"})
	return Stack{Name: name, Layers: all}
}

// Text draws the layers one on the other, all as wide as the widest.
func (s Stack) Text() string {
	width := 0
	for _, l := range s.Layers {
		width = max(width, utf8.RuneCountInString(l.Title)+2, utf8.RuneCountInString(l.Text))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "what %s sees: all of these as one, an upper file before a lower one\n", s.Name)
	left, right := "┌", "┐"
	for _, l := range s.Layers {
		line := strings.Repeat("─", width-utf8.RuneCountInString(l.Title)-1)
		space := strings.Repeat(" ", width-utf8.RuneCountInString(l.Text))
		fmt.Fprintf(&b, "%s─ %s %s%s\n│ %s%s │\n", left, l.Title, line, right, l.Text, space)
		left, right = "├", "┤"
	}
	return b.String() + "└" + strings.Repeat("─", width+2) + "┘\n"
}

// In draws the layers in a form: svg, or else text.
func (s Stack) In(form string) string {
	if form == "svg" {
		return s.SVG()
	}
	return s.Text()
}

// SVG draws the layers one on the other; the colours fit a light and a dark page.
func (s Stack) SVG() string {
	const width, height, gap = 760, 52, 8
	var b strings.Builder
	name := html.EscapeString(s.Name)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img"`+
		` font-family="sans-serif">`+"\n", width, len(s.Layers)*(height+gap)+40)
	fmt.Fprintf(&b, "<title>The layers of %s at %s</title>\n", name, time.Now().Format(time.DateTime))
	fmt.Fprintf(&b, `<text x="8" y="24" font-size="15" fill="#888">`+
		"what %s sees: all of these as one</text>\n", name)
	for i, l := range s.Layers {
		y, colour := 36+i*(height+gap), "#4a90d9"
		if i == 0 {
			colour = "#d9822b"
		}
		fmt.Fprintf(&b, `<rect x="4" y="%d" width="%d" height="%d" rx="6" fill="%s"`+
			` fill-opacity="0.15" stroke="%s"/>`+"\n", y, width-8, height, colour, colour)
		fmt.Fprintf(&b, `<text x="16" y="%d" font-size="15" fill="%s">%s</text>`+"\n",
			y+21, colour, html.EscapeString(l.Title))
		fmt.Fprintf(&b, `<text x="16" y="%d" font-size="12" font-family="monospace" fill="#888">`+
			"%s</text>\n", y+41, html.EscapeString(l.Text))
	}
	return b.String() + "</svg>\n"
}
