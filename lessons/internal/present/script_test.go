package present

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScript(t *testing.T) {
	title, scenes, err := Script(strings.ReplaceAll(`# 1. A title

## Head

A *first* sentence with [a link](x.md). And **another**:

| a | table |

'''console
$ one
'''

## Next

'''console
$ two
'''

What came of it,
told after.
`, "'''", "```"))
	require.NoError(t, err)
	require.Equal(t, "1. A title", title)
	require.Len(t, scenes, 2)
	require.Equal(t, "A first sentence with a link. And another:", scenes[0].Note)
	require.Equal(t, "Head", scenes[0].Heading)
	require.Equal(t, "What came of it, told after.", scenes[1].Note)
}

func TestShorten(t *testing.T) {
	require.Equal(t, "Last one.", shorten(strings.Repeat("x", 200)+" y. "+strings.Repeat("z", long)+". Last one."))
	require.Equal(t, "… "+strings.Repeat("z", long), shorten(strings.Repeat("z", 2*long)))
	require.Equal(t, "Short. Text.", shorten("Short. Text."))
}

// TestEveryLessonIsAScript holds that where a lesson has a new heading, the speaker has a note.
func TestEveryLessonIsAScript(t *testing.T) {
	lessons, err := filepath.Glob("../../0*.md")
	require.NoError(t, err)
	require.NotEmpty(t, lessons)
	for _, lesson := range lessons {
		text, err := os.ReadFile(lesson)
		require.NoError(t, err)
		title, scenes, err := Script(string(text))
		require.NoError(t, err)
		require.NotEmpty(t, title, lesson)
		for i, scene := range scenes {
			again := i > 0 && scenes[i-1].Heading == scene.Heading
			require.True(t, again || scene.Note != "", "%s, line %d", lesson, scene.Line)
			require.LessOrEqual(t, len(scene.Note), long+len("… "))
		}
	}
}

func TestCut(t *testing.T) {
	require.Equal(t, "abc", cut("abc", 3))
	require.Equal(t, "ab…", cut("abcd", 3))
	require.Equal(t, "…", cut("abcd", -5))
}
