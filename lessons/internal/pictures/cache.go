package pictures

import (
	"fmt"
	"regexp"
	"strings"
)

// The lesson's recipe in a bad order, and in a good one.
var (
	badOrder  = []string{"FROM tiny", "COPY . /app", "RUN cat /app/needs >/installed"}
	goodOrder = []string{"FROM tiny", "COPY needs /app/", "RUN cat /app/needs >/installed", "COPY . /app"}
)

// again builds a recipe, changes one file, and builds it again; %s is the recipe.
const again = `rm -rf app; mkdir app; echo 'print("hello")' >app/main; echo 'needs: nothing' >app/needs
cat >app/Dockerfile <<'END'
%s
END
box build -q app >/dev/null; echo 'print("bye")' >app/main
box build --progress plain app`

// step is what the second build says of one: it was in the cache, or why it was not.
type step struct{ text, why string }

func (s step) cached() bool { return s.why == "CACHED" }

// drawCache draws which steps are run again in each order, as the builds have said.
func drawCache(b *box) (*drawing, error) {
	bad, err := b.rebuilt(badOrder)
	if err != nil {
		return nil, err
	}
	good, err := b.rebuilt(goodOrder)
	if err != nil {
		return nil, err
	}
	d := newDrawing("One file has changed: what is run?",
		"Two recipes, built again after the file main was changed. In the bad order all that is copied comes first, so that the copying and the slow step below it are run again. In the good order the slow step stands above the copying of main, and is taken from the cache.")
	y := d.order("All files first: the slow step is run", bad, 74)
	d.order("What it needs first: it is not run", good, y+26)
	return d, nil
}

var stepLine = regexp.MustCompile(`(?m)^\[\d+/\d+\] (.*?)(?:  # (.*))?$`)

// rebuilt builds twice and reads what the second build says of its steps.
func (b *box) rebuilt(recipe []string) ([]step, error) {
	out, err := b.run(0, fmt.Sprintf(again, strings.Join(recipe, "\n")))
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, m := range stepLine.FindAllStringSubmatch(out, -1) {
		steps = append(steps, step{m[1], m[2]})
	}
	if len(steps) != len(recipe) {
		return nil, fmt.Errorf("%d steps are expected:\n%s", len(recipe), out)
	}
	return steps, nil
}

// order draws the steps from the top down. At their left a line leads from the first that is
// run through all below it.
func (d *drawing) order(title string, steps []step, y int) int {
	d.text(margin, y, "bold", title)
	y += 16
	above := 0 // the middle of a step above that is run
	for i, s := range steps {
		height := 40
		if i > 0 && !s.cached() {
			height = 64
			if above > 0 {
				d.arrow("amber", 44, above, 30, above, 30, y+20, 40, y+20)
			}
			above = y + 20
		}
		d.step(s, i, y, height)
		y += height + 8
	}
	return y
}

// step draws one: what FROM names is there in any case.
func (d *drawing) step(s step, i, y, height int) {
	colour, word := "amber", "run"
	switch {
	case i == 0:
		colour, word = "blue", "base"
	case s.cached():
		colour, word = "green", "cached"
	}
	d.rect(46, y, 414, height, colour)
	d.text(58, y+25, "mono", s.text)
	if colour == "amber" {
		d.text(58, y+49, "soft", s.why)
	}
	d.text(448, y+25, "end bold "+colour, word)
}
