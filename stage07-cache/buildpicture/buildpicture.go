// Package buildpicture draws a build: its stages, their steps one below the other, and which of
// them were taken from the cache. It is given the texts; Text is for a terminal, SVG for a
// browser.
package buildpicture

import (
	"fmt"
	"html"
	"strings"

	"stagebox/stage06-dockerfile/ui"
)

// Stage is a column of the picture.
type Stage struct {
	Name  string
	Steps []Step
}

// Step is a box in it.
type Step struct {
	Text   string // of the instruction, in one line
	Why    string // it was made, or ""
	Cached bool
}

// Text draws a line for each step.
func Text(stages []Stage) string {
	var b strings.Builder
	for _, s := range stages {
		fmt.Fprintf(&b, "%s\n", s.Name)
		for i, step := range s.Steps {
			edge, mark := "├", "■ run   "
			if i == len(s.Steps)-1 {
				edge = "└"
			}
			if step.Cached {
				mark = "□ cached"
			}
			line := fmt.Sprintf("%s─ %s  %s  %s", edge, mark, ui.Cut(step.Text, 50), step.Why)
			fmt.Fprintln(&b, strings.TrimRight(line, " "))
		}
	}
	return b.String()
}

const (
	width, height = 420, 40 // of a box
	gap           = 8       // between two
)

// SVG draws a column for each stage; the colours fit a light and a dark page.
func SVG(stages []Stage) string {
	most := 0
	for _, s := range stages {
		most = max(most, len(s.Steps))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img"`+
		` font-family="sans-serif">`+"\n", len(stages)*(width+gap)+gap, most*(height+gap)+40)
	fmt.Fprintln(&b, "<title>The steps of a build, and which were taken from the cache</title>")
	for i, s := range stages {
		x := gap + i*(width+gap)
		fmt.Fprintf(&b, `<text x="%d" y="24" font-size="15" fill="#888">%s</text>`+"\n",
			x, html.EscapeString(s.Name))
		for k, step := range s.Steps {
			step.draw(&b, x, 36+k*(height+gap))
		}
	}
	return b.String() + "</svg>\n"
}

func (s Step) draw(b *strings.Builder, x, y int) {
	colour, note := "#d9822b", s.Why
	if s.Cached {
		colour, note = "#4a90d9", "cached"
	}
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="%s"`+
		` fill-opacity="0.15" stroke="%s"/>`+"\n", x, y, width, height, colour, colour)
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="12" font-family="monospace" fill="#888">%s</text>`+"\n",
		x+8, y+16, html.EscapeString(ui.Cut(s.Text, 54)))
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="12" fill="%s">%s</text>`+"\n",
		x+8, y+33, colour, html.EscapeString(ui.Cut(note, 60)))
}
