package transcript

import (
	"fmt"
	"regexp"
	"strings"
)

// columns are blanks between columns: how many there are depends on numbers beside them.
var columns = regexp.MustCompile(`  +`)

// memory is what ‹name› stands for.
type memory map[string]string

var remembered = regexp.MustCompile(`‹([a-z]+)›`)

// fill puts what is known in the place of ‹name›.
func (m memory) fill(text string) (string, error) {
	var err error
	filled := remembered.ReplaceAllStringFunc(text, func(mark string) string {
		name := remembered.FindStringSubmatch(mark)[1]
		if _, ok := m[name]; !ok {
			err = fmt.Errorf("%s has not been seen before", mark)
		}
		return m[name]
	})
	return filled, err
}

// match holds what was shown against what was expected, and keeps what ‹name› was.
func (m memory) match(expect []string, shown string) bool {
	var pattern strings.Builder
	var names []string
	for _, line := range expect {
		if strings.TrimSpace(line) == "…" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		pattern.WriteString(m.pattern(strings.TrimRight(line, " \t"), &names) + `[ \t]*\n`)
	}
	found := regexp.MustCompile(`^` + pattern.String() + `\s*$`).FindStringSubmatch(strings.TrimRight(shown, "\n") + "\n")
	if found == nil {
		return false
	}
	for i, name := range names {
		if known, ok := m[name]; ok && known != found[i+1] {
			return false
		}
		m[name] = found[i+1]
	}
	return true
}

// pattern is the regular expression for a line.
func (m memory) pattern(line string, names *[]string) string {
	var out strings.Builder
	for len(line) > 0 {
		at := remembered.FindStringSubmatchIndex(line)
		plain := line
		if at != nil {
			plain = line[:at[0]]
		}
		plain = strings.ReplaceAll(regexp.QuoteMeta(plain), "…", ".*")
		out.WriteString(columns.ReplaceAllString(plain, "  +"))
		if at == nil {
			break
		}
		name := line[at[2]:at[3]]
		if known, ok := m[name]; ok {
			out.WriteString(regexp.QuoteMeta(known))
		} else {
			out.WriteString(`(\d+)`)
			*names = append(*names, name)
		}
		line = line[at[1]:]
	}
	return out.String()
}
