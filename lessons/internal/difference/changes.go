package difference

import (
	"slices"
	"strings"
)

// Change is a declaration that differs between the two sides of a file.
type Change struct {
	Name           string // "Container.Run", "Limits"
	New, Gone      bool
	Added, Removed int // lines, those of its comment among them
}

// changes are the declarations of a file that differ, in their order and without imports; those
// that are gone come last. A line outside of all declarations, such as one of the opening comment, belongs to none.
func changes(lines []Line, old, now []declaration) []Change {
	var list []Change
	for i, d := range now {
		if strings.HasPrefix(d.title, "import") {
			continue
		}
		c := Change{Name: bareName(d.title), New: !declares(old, d)}
		for at, line := range lines {
			switch {
			case line.Kind == Added && line.New >= d.first && line.New <= d.last:
				c.Added++
			case line.Kind == Removed && goesWith(lines, at, now, i) && !isGone(line, old, now):
				c.Removed++
			}
		}
		if c.Added+c.Removed > 0 {
			list = append(list, c)
		}
	}
	for _, d := range old {
		if !declares(now, d) && !strings.HasPrefix(d.title, "import") {
			list = append(list, Change{Name: bareName(d.title), Gone: true, Removed: d.last - d.first + 1})
		}
	}
	return list
}

// goesWith reports whether a removed line is where declaration i is now: it goes with the next
// line that is there on the new side.
func goesWith(lines []Line, at int, now []declaration, i int) bool {
	next := slices.IndexFunc(lines[at:], func(l Line) bool { return l.New != 0 })
	return next >= 0 && lines[at+next].New >= now[i].first && lines[at+next].New <= now[i].last
}

// isGone reports whether a removed line is of a declaration that is gone as a whole.
func isGone(line Line, old, now []declaration) bool {
	for _, d := range old {
		if line.Old >= d.first && line.Old <= d.last {
			return !declares(now, d)
		}
	}
	return false
}

// declares reports whether a list has a declaration of the name.
func declares(list []declaration, d declaration) bool {
	return slices.ContainsFunc(list, func(o declaration) bool { return bareName(o.title) == bareName(d.title) })
}

// bareName is a declaration's name without "type", "var" or "const".
func bareName(title string) string {
	n := name(title)
	if _, bare, ok := strings.Cut(n, " "); ok {
		return bare
	}
	return n
}
