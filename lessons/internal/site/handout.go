package site

import (
	"errors"
	"strings"
)

// handoutName is the page that a workshop's instructor prints.
const handoutName = "handout.html"

// handoutPage is one sheet of paper: the lessons, the day, and the commands to have at hand. The
// first two are the tables of lessons/README.md.
func (s *Site) handoutPage() ([]byte, error) {
	d := s.index()
	if d == nil {
		return nil, errors.New("there is no lessons/README.md")
	}
	body, err := s.html(d)
	if err != nil {
		return nil, err
	}
	day := ""
	for rest := body; ; {
		_, after, found := strings.Cut(rest, "<table>")
		if !found {
			break
		}
		table, next, _ := strings.Cut(after, "</table>")
		if rest = next; strings.Contains(table, "half a day") {
			day = "<table>" + table + "</table>"
			break
		}
	}
	return s.show(handoutName, page{Title: "A workshop on one page", Kind: "handout", Data: struct {
		Lessons []entry
		Day     string
	}{s.entries(d), day}})
}

// index is lessons/README.md; nil when there is none.
func (s *Site) index() *document {
	for _, d := range s.docs {
		if d.name == "lessons/README.md" {
			return d
		}
	}
	return nil
}
