package verify

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPhrases: each phrase is counted in code and prose, a copied file once, and quoted code and
// tests not at all.
func TestPhrases(t *testing.T) {
	copied := "package main // it shall be\n"
	files := map[string]string{
		"stage01-a/a.go":      copied,
		"stage02-b/a.go":      copied,
		"stage02-b/b_test.go": copied,
		"stage01-a/t/t.go":    "package t // it shall be\n",
		"README.md":           "It shall be.\n\n<!-- code: a.go:x -->\n```go\n// it shall be\n```\n",
	}
	require.Empty(t, findings(t, plainEnglish, files))
	files["lessons/01-a.md"] = strings.Repeat("It shall be.\n", 2)
	require.Contains(t, findings(t, plainEnglish, files), `"shall" occurs 5 times in code and prose, and 4 are the most: put it plainly`)
	for i, text := range []string{"shall", "stands after", "is told", "tells whether", "nobody is", "which is no fault", "usual", "anew",
		"So it is with", "done. What is", "the walls"} {
		require.Regexp(t, phrases[i].pattern, " "+text+" x")
		for _, whole := range []string{text, text + " x\n", "nobody\n" + text + ",\n(" + text + "; or\n" + text + " x, " + text + " x\n", "\n\nthat\nwith\n"} {
			require.Equal(t, len(phrases[i].pattern.FindAllString(whole, -1)), phrases[i].occurrences([]byte(whole)), "%q", whole)
		}
		require.NotEmpty(t, literals()[phrases[i].name], "its pattern is looked for in every line")
	}
	require.Equal(t, 1, phrase{name: "new", pattern: regexp.MustCompile(`(?i)a.c`)}.occurrences([]byte("x\nABC\n")), "without a literal")
	before, most := 0, 0
	for _, p := range phrases {
		before, most = before+p.before, most+p.most
	}
	require.LessOrEqual(t, 10*most, before, "a tenth at most")
}
