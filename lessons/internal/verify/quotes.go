package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"stagebox/lessons/internal/quotes"
	"stagebox/lessons/internal/stages"
)

// quoted checks that the code in the lessons is that of the sources.
func quoted(root string, all []stages.Stage) ([]Finding, error) {
	var found []Finding
	for _, s := range all {
		text, err := os.ReadFile(filepath.Join(root, s.Lesson()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		filled, _, err := quotes.Fill(all, s.Number, string(text))
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				found = append(found, Finding{s.Lesson(), strings.TrimSuffix(line, "\n")})
			}
		} else if filled != string(text) {
			found = append(found, Finding{s.Lesson(), fmt.Sprintf("quotes code that is no longer so, from line %d on: run go run ./lessons quote", differs(string(text), filled))})
		}
	}
	return found, nil
}

// differs is the number of the first line in which two texts differ.
func differs(a, b string) int {
	n := 1
	for i := 0; i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		if a[i] == '\n' {
			n++
		}
	}
	return n
}
