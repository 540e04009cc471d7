package verify

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestQuoted: a lesson quotes its stage as it is.
func TestQuoted(t *testing.T) {
	files := map[string]string{
		"stage01-a/main.go": "package main\n\nfunc main() {}\n",
		"lessons/01-a.md":   "# 1\n\n<!-- code: main.go:main -->\n```go\nfunc main() {}\n```\n",
	}
	require.Empty(t, findings(t, quoted, files))
	files["stage01-a/main.go"] = "package main\n\nfunc main() { println() }\n"
	require.Equal(t, "lessons/01-a.md: quotes code that is no longer so, from line 5 on: run go run ./lessons quote", findings(t, quoted, files))
	files["stage01-a/main.go"] = "package main\n"
	require.Equal(t, "lessons/01-a.md: line 3: main.go: no declaration of main", findings(t, quoted, files))
}
