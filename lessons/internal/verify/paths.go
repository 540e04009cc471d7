package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	readingpaths "stagebox/lessons/internal/paths"
	"stagebox/lessons/internal/stages"
)

// longestPath is how many lines of code a stage's reading path may have; firstPath, the path of
// the first stage, which has to be read in one sitting.
const (
	longestPath = 900
	firstPath   = 700
)

// paths checks that the names on each reading path resolve, that none is there twice, that the
// path is short enough and what is said of it true, and that its reader meets every function of the
// lesson tier.
func paths(root string, all []stages.Stage) ([]Finding, error) {
	var found []Finding
	var read []readingpaths.Path
	for i, s := range all {
		p, err := readingpaths.Read(all, s.Number)
		if errors.Is(err, fs.ErrNotExist) && len(p.Entries) == 0 {
			found = append(found, Finding{readingpaths.File(s), "there is none: list what to read in this stage, and in which order"})
			continue
		}
		if err != nil {
			found = append(found, eachLine(err)...)
		}
		read = append(read, p)
		found = append(found, lengthOf(p, i == 0)...)
		found = append(found, twice(p)...)
		untrue, err := said(root, p)
		if err != nil {
			return nil, err
		}
		found = append(found, untrue...)
		unread, err := readingpaths.Unread(s, read)
		if err != nil {
			return nil, err
		}
		for _, name := range unread {
			found = append(found, Finding{readingpaths.File(s), fmt.Sprintf("%s is on no path, and nothing on one calls it: add it, or what calls it", name)})
		}
	}
	return found, nil
}

// eachLine is a finding for each line of an error of Read's: "where: what".
func eachLine(err error) (found []Finding) {
	for line := range strings.Lines(err.Error()) {
		where, what, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		found = append(found, Finding{where, what})
	}
	return found
}

func lengthOf(p readingpaths.Path, first bool) []Finding {
	most := longestPath
	if first {
		most = firstPath
	}
	if n := p.Lines(); n > most {
		return []Finding{{readingpaths.File(p.Stage), fmt.Sprintf("%d lines to read, more than %d: leave out what a reader can do without", n, most)}}
	}
	return nil
}

// twice finds entries that are on a path more than once.
func twice(p readingpaths.Path) (found []Finding) {
	first := map[string]string{}
	for _, e := range p.Entries {
		if where, ok := first[e.String()]; ok {
			found = append(found, Finding{e.Where, fmt.Sprintf("%s is on the path already, at %s", e, where)})
		}
		first[e.String()] = e.Where
	}
	return found
}
