package pictures

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The lesson's two recipes for an image without a file of five megabytes.
var (
	fatSteps  = []string{"FROM tiny", "RUN head -c 5000000 /dev/zero >/big", "RUN rm /big"}
	slimSteps = []string{"FROM tiny", "RUN head -c 5000000 /dev/zero >/big && rm /big"}
)

// madeLayer is a step of a recipe, and the size of the layer it made, such as "4.8 MiB"; "" for none.
type madeLayer struct{ step, size string }

// drawLayers draws what each step has left behind, from the history of real images.
func drawLayers(b *box) (*drawing, error) {
	fat, err := b.made("fat", fatSteps)
	if err != nil {
		return nil, err
	}
	slim, err := b.made("slim", slimSteps)
	if err != nil {
		return nil, err
	}
	d := newDrawing("What each step leaves",
		"Two recipes and their layers. In the first, one step writes a file of 5 MB and the next removes it: the image carries a layer of 4.8 MiB and a whiteout above it. In the second, one step does both, and leaves no layer at all.")
	y := d.recipe("Removed by a later step: carried forever", "red", fat, 74)
	d.recipe("Removed by the same step: never there", "green", slim, y+34)
	return d, nil
}

var historySize = regexp.MustCompile(`\s([0-9.]+ [KMG]?i?B)\s`)

// made builds an image and reads its history, which has the last step first.
func (b *box) made(name string, steps []string) ([]madeLayer, error) {
	out, err := b.run(0, fmt.Sprintf("mkdir %s; cat >%[1]s/Dockerfile <<'END'\n%s\nEND\nbox build -q -t %[1]s %[1]s >/dev/null; box history %[1]s", name, strings.Join(steps, "\n")))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")[1:]
	slices.Reverse(lines)
	if len(lines) != len(steps) {
		return nil, fmt.Errorf("a history of %d steps is expected:\n%s", len(steps), out)
	}
	var made []madeLayer
	for i, line := range lines {
		size := historySize.FindStringSubmatch(line + " ")
		if size == nil {
			return nil, fmt.Errorf("there is no size in the history: %s", line)
		}
		if strings.HasPrefix(line, "<none>") {
			size[1] = ""
		}
		made = append(made, madeLayer{steps[i], size[1]})
	}
	return made, nil
}

// recipe draws the steps from the top down, and beside each its layer: the taller, the heavier.
func (d *drawing) recipe(title, colour string, all []madeLayer, y int) int {
	d.text(margin, y, "bold "+colour, title)
	y += 20
	for i, layer := range all {
		lines := wrap(layer.step, 27)
		height, words, fill := layer.look(i, colour)
		row := max(height, 20*len(lines)+8)
		d.paragraph(margin, y+row/2+5-10*(len(lines)-1), "mono", layer.step, 27)
		if height > 0 {
			d.arrow("", 276, y+row/2, 300, y+row/2)
			d.rect(306, y+(row-height)/2, 154, height, fill)
		}
		d.text(383, y+row/2+5, "mid "+fill, words)
		y += row + 10
	}
	return y
}

// look is how a layer is drawn: the first is what FROM names, and weighs otherwise elsewhere.
func (l madeLayer) look(i int, colour string) (height int, words, fill string) {
	switch {
	case i == 0:
		return 34, "tiny's layer", "blue"
	case l.size == "":
		return 0, "no layer", "soft"
	case l.size == "0 B":
		return 26, "whiteout, 0 B", "amber"
	}
	return 90, l.size, colour
}
