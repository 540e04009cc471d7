// Package quotes fills in the code that a lesson quotes. In the Markdown, a marker names it as a
// reading path does, and the block below holds it:
//
//	<!-- code: container.go:Container.Run -->
//	```go
//	…
//	```
//
// The block is never typed: Fill writes it from the sources, and a check compares the two.
package quotes

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"stagebox/lessons/internal/paths"
	"stagebox/lessons/internal/stages"
)

var marker = regexp.MustCompile(`^<!-- code: (\S+) -->$`)

// Fill returns a page of stage n with each block filled, and the number of blocks. A marker
// without a block below it gets one. Names that do not resolve are errors, with their lines.
func Fill(all []stages.Stage, n int, page string) (string, int, error) {
	var out []string
	var wrong []error
	count := 0
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		out = append(out, lines[i])
		m := marker.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		count++
		e, err := paths.Find(all, n, m[1])
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", i+1, err))
			continue
		}
		out = append(append(append(out, "```go"), e.Code...), "```")
		i += block(lines[i+1:])
	}
	return strings.Join(out, "\n"), count, errors.Join(wrong...)
}

// block is how many lines the block at the beginning of lines has, or 0.
func block(lines []string) int {
	if len(lines) == 0 || lines[0] != "```go" {
		return 0
	}
	return slices.Index(lines, "```") + 1
}
