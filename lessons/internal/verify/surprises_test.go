package verify

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/stages"
)

// TestSurprises: each fact has a session or a script that shows it, and says where it is from;
// each stage's facts are linked from its lesson.
func TestSurprises(t *testing.T) {
	root, err := stages.Root()
	require.NoError(t, err)
	all, err := stages.All(root)
	require.NoError(t, err)
	text, err := readBytes(root, Surprises)
	require.NoError(t, err)
	script := regexp.MustCompile("`(findings/[a-z0-9-]+\\.sh)`")
	facts, parts := 0, strings.Split(string(text), "\n## ")
	require.Len(t, parts, len(all)+1)
	for i, s := range all {
		title, part, _ := strings.Cut(parts[i+1], "\n")
		for _, fact := range strings.Split(part, "\n### ")[1:] {
			name, _, _ := strings.Cut(fact, "\n")
			facts++
			if m := script.FindStringSubmatch(fact); m != nil {
				require.FileExists(t, filepath.Join(root, m[1]), name)
				require.Contains(t, fact, "\n*Seen with ", name)
				continue
			}
			require.Contains(t, fact, "\n```console", name)
			require.Contains(t, fact, "\n*Source: ", name)
		}
		lesson, err := os.ReadFile(filepath.Join(root, s.Lesson()))
		require.NoError(t, err)
		require.Contains(t, string(lesson), "(surprises.md#"+slugs("# " + title)[0]+")", s.Lesson())
	}
	require.GreaterOrEqual(t, facts, 25)
}
