package pictures

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// unionFiles are the columns of the picture: what the container does with each.
var unionFiles = []string{"read", "changed", "removed", "made"}

// unionScript makes a container on two layers, which prints what it sees in the end.
const unionScript = `box rootfs tiny >/dev/null; mkdir low
for f in read changed removed; do echo from low >low/$f; done
box run --name one --rootfs tiny --layer low sh -c '
	echo mine >/changed; rm /removed; echo mine >/made
	for f in read changed removed made; do echo "$f=$(cat /$f 2>/dev/null)"; done'`

// unionRow is what one directory has of unionFiles: a file's text, a whiteout, or nothing.
type unionRow [4]string

const whiteout = "whiteout"

// drawOverlay draws a container's files as they are on disk, and as it sees them.
func drawOverlay(b *box) (*drawing, error) {
	seen, err := b.run(0, unionScript)
	if err != nil {
		return nil, err
	}
	merged, err := tellings(seen)
	if err != nil {
		return nil, err
	}
	lower, err := lookInto(filepath.Join(b.dir, "low"))
	if err != nil {
		return nil, err
	}
	dir, err := b.run(0, "box inspect -f '{{.GraphDriver.Data.UpperDir}}' one")
	if err != nil {
		return nil, err
	}
	upper, err := lookInto(strings.TrimSpace(dir))
	if err != nil {
		return nil, err
	}
	return union(merged, upper, lower), nil
}

// tellings reads what the container has told: NAME=TEXT.
func tellings(seen string) (unionRow, error) {
	var row unionRow
	for i, name := range unionFiles {
		_, rest, found := strings.Cut(seen, name+"=")
		if !found {
			return row, fmt.Errorf("the container tells nothing of %s:\n%s", name, seen)
		}
		row[i], _, _ = strings.Cut(rest, "\n")
	}
	return row, nil
}

// lookInto reads a layer's directory. A whiteout is a character device with the number 0,0.
func lookInto(dir string) (unionRow, error) {
	var row unionRow
	for i, name := range unionFiles {
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		switch {
		case os.IsNotExist(err):
			continue
		case err != nil:
			return row, err
		case info.Mode()&os.ModeCharDevice != 0 && info.Sys().(*syscall.Stat_t).Rdev == 0:
			row[i] = whiteout
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return row, err
		}
		row[i] = strings.TrimSpace(string(text))
	}
	return row, nil
}

// Where the three rows are, and how high their cells.
const (
	mergedY, upperY, lowerY = 104, 228, 352
	cellHeight              = 56
)

// union draws the rows one on the other, and in each column where what is seen comes from.
func union(merged, upper, lower unionRow) *drawing {
	d := newDrawing("Two directories, seen as one",
		"Four files in three rows: merged, upper, lower. The file that was read is in lower, and seen through the empty place above it. The changed one was copied from lower to upper, and the copy is seen. The removed one is in lower; upper has a whiteout, and nothing is seen. The one that was made is in upper only.")
	for i, name := range unionFiles {
		d.text(cellX(i)+40, 88, "mid mono bold", "/"+name)
		d.column(i, merged[i], upper[i], lower[i])
	}
	d.shelf(mergedY, "merged", "what is seen", "green", merged)
	d.shelf(upperY, "upper", "what it writes", "amber", upper)
	d.shelf(lowerY, "lower", "only read", "blue", lower)
	return d
}

func cellX(i int) int { return 112 + 88*i }

// shelf draws a row: a file is a box with its text, a whiteout one that is crossed out.
func (d *drawing) shelf(y int, name, what, colour string, row unionRow) {
	d.text(margin, y+22, "bold "+colour, name)
	d.paragraph(margin, y+42, "soft", what, 10)
	for i, text := range row {
		switch text {
		case "":
			d.rect(cellX(i), y, 80, cellHeight, "dash")
		case whiteout:
			d.rect(cellX(i), y, 80, cellHeight, "red")
			d.text(cellX(i)+40, y+33, "mid red", text)
		default:
			d.rect(cellX(i), y, 80, cellHeight, colour)
			d.text(cellX(i)+40, y+33, "mid "+colour, text)
		}
	}
}

// column draws the ways of a file from a row to the one above.
func (d *drawing) column(i int, merged, upper, lower string) {
	x := cellX(i) + 40
	switch {
	case upper == whiteout:
		d.line("blue", x, lowerY, x, upperY+cellHeight+8)
		d.line("red", x-10, upperY+cellHeight+8, x+10, upperY+cellHeight+8)
	case upper == "" && merged == lower:
		d.arrow("blue", x, lowerY, x, mergedY+cellHeight+6)
	case merged == upper:
		d.arrow("amber", x, upperY, x, mergedY+cellHeight+6)
		if lower != "" {
			d.arrow("blue dash", x, lowerY, x, upperY+cellHeight+6)
			d.paragraph(x+10, upperY+cellHeight+30, "soft", "copied up", 6)
		}
	}
}
