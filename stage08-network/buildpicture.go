// A picture of a build: its stages side by side, their steps one below the other, and which
// of them were taken from the cache.
package main

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"stagebox/stage06-dockerfile/ui"
)

// drawnStep is a step in the picture.
type drawnStep struct {
	text, why string
	hit       bool
}

// draw prints the picture.
func (b *builder) draw() {
	var stages []*stageBuild
	for _, s := range b.done {
		stages = append(stages, s)
	}
	slices.SortFunc(stages, func(a, b *stageBuild) int { return a.Index - b.Index })
	if b.Picture == "svg" {
		fmt.Print(svgOfBuild(stages))
		return
	}
	for _, s := range stages {
		fmt.Printf("%s\n", cmpOr(s.label(), "the image"))
		for i, step := range s.drawn {
			edge := "├"
			if i == len(s.drawn)-1 {
				edge = "└"
			}
			mark, why := "■ run   ", step.why
			if step.hit {
				mark = "□ cached"
			}
			fmt.Println(strings.TrimRight(fmt.Sprintf("%s─ %s  %s  %s", edge, mark, ui.Cut(step.text, 50), why), " "))
		}
	}
}

// svgOfBuild draws a column for each stage; the colours fit a light and a dark page.
func svgOfBuild(stages []*stageBuild) string {
	const width, height, gap = 420, 40, 8
	most := 0
	for _, s := range stages {
		most = max(most, len(s.drawn))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" font-family="sans-serif">`+"\n<title>The steps of a build, and which were taken from the cache</title>\n",
		len(stages)*(width+gap)+gap, most*(height+gap)+40)
	for i, s := range stages {
		x := gap + i*(width+gap)
		fmt.Fprintf(&b, `<text x="%d" y="24" font-size="15" fill="#888">%s</text>`+"\n", x, html.EscapeString(cmpOr(s.label(), "the image")))
		for k, step := range s.drawn {
			y, colour, note := 36+k*(height+gap), "#d9822b", step.why
			if step.hit {
				colour, note = "#4a90d9", "cached"
			}
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="%s" fill-opacity="0.15" stroke="%s"/>`+"\n", x, y, width, height, colour, colour)
			fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="12" font-family="monospace" fill="#888">%s</text>`+"\n", x+8, y+16, html.EscapeString(ui.Cut(step.text, 54)))
			fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="12" fill="%s">%s</text>`+"\n", x+8, y+33, colour, html.EscapeString(ui.Cut(note, 60)))
		}
	}
	return b.String() + "</svg>\n"
}
