package pictures

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Where the two lanes are, and the calls beside them.
const (
	hostLane = 44
	boxLane  = 112
	besides  = 136
)

// call is a line of the list of system calls, and how far down it is drawn.
type call struct {
	side, text, why string
	y               int
	turns           bool // it is still about who goes on
}

func (c call) name() string {
	name, _, _ := strings.Cut(c.text, "(")
	return name
}

func (c call) lane() (x int, colour string) {
	if c.side == "host" {
		return hostLane, "blue"
	}
	return boxLane, "amber"
}

// drawCalls draws who makes which call, from the list that a dry run prints.
func drawCalls(b *box) (*drawing, error) {
	list, err := b.run(0, "box run --dry-run true")
	if err != nil {
		return nil, err
	}
	d := newDrawing("Two processes take turns",
		"Two lanes, host and box. With the host's clone3 the box's lane begins. Over the sync socket the box says: ready, and the host answers: go on. All further calls are the box's alone, and with the last, execve, it becomes the program.")
	d.text(hostLane, 72, "mid bold blue", "host")
	d.text(boxLane, 72, "mid bold amber", "box")
	all := calls(list, 106)
	born := slices.IndexFunc(all, func(c call) bool { return c.name() == "clone3" })
	if born < 0 || all[len(all)-1].name() != "execve" {
		return nil, fmt.Errorf("the list of system calls has no clone3, or does not end in execve:\n%s", list)
	}
	d.lanes(all, all[born].y)
	for _, c := range all {
		d.call(c)
	}
	return d, nil
}

var callLine = regexp.MustCompile(`(?m)^(host|box )│ (.*?)  +# (.*)$`)

// calls reads the list. A call without a reason is left out, and the search of PATH is one
// row. Up to the box's first read the two take turns, and the rows have room for the reason.
func calls(list string, y int) []call {
	var all []call
	turns := true
	for _, m := range callLine.FindAllStringSubmatch(list, -1) {
		c := call{strings.TrimSpace(m[1]), m[2], m[3], y, turns}
		if n := len(all); n > 0 && all[n-1].name() == "faccessat" && c.name() == "faccessat" {
			continue
		}
		all = append(all, c)
		y += 30
		if turns {
			y += 2 + 20*len(wrap(c.why, 40))
		}
		turns = turns && c.name() != "read"
	}
	return all
}

// lanes draws the two processes, and how the second comes of the first and what it becomes.
func (d *drawing) lanes(all []call, born int) {
	last := all[len(all)-1].y
	d.line("blue", hostLane, 82, hostLane, last+42)
	d.arrow("amber", hostLane, born, boxLane-8, born)
	d.line("amber", boxLane, born, boxLane, last+28)
	d.rect(boxLane-20, last+28, 112, 28, "amber")
	d.text(boxLane+36, last+47, "mid amber", "the program")
}

// call draws one row; a word over the sync socket is an arrow to the other lane.
func (d *drawing) call(c call) {
	x, colour := c.lane()
	if c.name() == "write" {
		to := hostLane + boxLane - x
		d.arrow(colour+" dash", x, c.y, to-8*sign(to-x), c.y)
	}
	d.dot(x, c.y, colour)
	d.text(besides, c.y+5, "mono "+colour, cut(c.text, 35))
	if c.turns {
		d.paragraph(besides, c.y+25, "soft", c.why, 40)
	}
}
