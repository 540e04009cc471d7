package quotes

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/stages"
)

// repository is one of a single stage, whose main.go has a function.
func repository(t *testing.T) []stages.Stage {
	root := t.TempDir()
	for name, text := range map[string]string{
		"stage01-a/main.go":  "package main\n\n// main is first.\nfunc main() {}\n",
		"lessons/x/small.go": "package main\n\nfunc small() {\n}\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o644))
	}
	all, err := stages.All(root)
	require.NoError(t, err)
	return all
}

func TestFill(t *testing.T) {
	all := repository(t)
	const page = "Prose.\n<!-- code: main.go:main -->\n```go\nfunc old() {}\n```\nMore.\n<!-- code: lessons/x/small.go:small -->\n\nEnd.\n"
	const filled = "Prose.\n<!-- code: main.go:main -->\n```go\n// main is first.\nfunc main() {}\n```\nMore.\n<!-- code: lessons/x/small.go:small -->\n```go\nfunc small() {\n}\n```\n\nEnd.\n"
	text, n, err := Fill(all, 1, page)
	require.NoError(t, err)
	require.Equal(t, filled, text)
	require.Equal(t, 2, n)

	text, _, err = Fill(all, 1, filled)
	require.NoError(t, err)
	require.Equal(t, filled, text, "filled again, it is the same")
}

func TestFillSaysWhatDoesNotResolve(t *testing.T) {
	const page = "<!-- code: main.go:no -->\n```go\nfunc old() {}\n```\n<!-- code: no.go:main -->\n"
	text, _, err := Fill(repository(t), 1, page)
	require.EqualError(t, err, "line 1: main.go: no declaration of no\nline 5: there is no stage01-a/no.go")
	require.Equal(t, page, text, "what it would have replaced is left alone")
}
