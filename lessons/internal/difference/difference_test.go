package difference

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// side puts one of the texts together again.
func side(lines []Line, without Kind) []string {
	var text []string
	for _, line := range lines {
		if line.Kind != without {
			text = append(text, line.Text)
		}
	}
	return text
}

func FuzzLines(f *testing.F) {
	f.Add("a\nb\nc", "a\nx\nc")
	f.Add("", "a")
	f.Add("a\na\nb\na", "a\nb\na\na")
	f.Fuzz(func(t *testing.T, a, b string) {
		before, after := strings.Split(a, "\n"), strings.Split(b, "\n")
		lines := Lines(before, after)
		require.Equal(t, before, side(lines, Added))
		require.Equal(t, after, side(lines, Removed))
	})
}

func TestLinesOfRandomEdits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var before, after []string
		for range random.IntN(60) {
			word := string(rune('a' + random.IntN(12)))
			if random.IntN(4) > 0 {
				before = append(before, word)
			}
			if random.IntN(4) > 0 {
				after = append(after, word)
			}
		}
		lines := Lines(before, after)
		require.Equal(t, before, side(lines, Added))
		require.Equal(t, after, side(lines, Removed))
	}
}

func TestInsertionIsShownWhereItIs(t *testing.T) {
	lines := Lines(strings.Split("func a() {\n}\n\nfunc c() {\n}", "\n"), strings.Split("func a() {\n}\n\nfunc b() {\n}\n\nfunc c() {\n}", "\n"))
	var added []string
	for _, line := range lines {
		if line.Kind == Added {
			added = append(added, line.Text)
		}
		require.NotEqual(t, Removed, line.Kind)
	}
	require.Len(t, added, 3)
	require.Contains(t, added, "func b() {")
}

const unchanged = `package p

// a does a.
func a() {
	println("a")
}

func (x *T) b(n int) error {
	return nil
}
`

func TestUnchangedDeclarationsFoldAndNewFilesComeLast(t *testing.T) {
	before, after := t.TempDir(), t.TempDir()
	put := func(dir, name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	put(before, "z.go", unchanged+"\nfunc c() {\n\tone()\n}\n")
	put(after, "z.go", unchanged+"\nfunc c() {\n\tone()\n\ttwo()\n}\n")
	put(after, "a.go", "package p\n\n// A comment.\nvar x int\n")
	put(before, "same.go", unchanged)
	put(after, "same.go", unchanged)
	put(after, "a_test.go", "package p\n")
	files, err := Dirs(before, after, false)
	require.NoError(t, err)
	require.Len(t, files, 2)
	require.Equal(t, "z.go", files[0].Name)
	require.Equal(t, "a.go", files[1].Name)
	require.True(t, files[1].New)
	require.Equal(t, 4, files[1].Added)
	require.Equal(t, 2, files[1].Code)

	var folded []Line
	for _, line := range files[0].Lines {
		require.NotContains(t, line.Text, `println("a")`)
		if line.Kind == Folded {
			folded = append(folded, line)
		}
	}
	require.Len(t, folded, 1)
	require.Equal(t, "2 unchanged: a, T.b", folded[0].Brief(80))
	require.Contains(t, files[0].Lines, Line{Added, 0, 14, "\ttwo()"})
	require.Contains(t, files[0].Lines, Line{Kept, 12, 12, "func c() {"}, "a changed function is shown whole")
}

func TestOfImportsOnlyThoseNearTheNewOneAreShown(t *testing.T) {
	list := "\t\"a\"\n\t\"b\"\n\t\"c\"\n\t\"d\"\n\t\"e\"\n"
	before, after := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(before, "a.go"), []byte("package p\n\nimport (\n"+list+")\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(after, "a.go"), []byte("package p\n\nimport (\n"+list+"\t\"f\"\n)\n"), 0o644))
	files, err := Dirs(before, after, false)
	require.NoError(t, err)
	require.Equal(t, []Line{{Kept, 6, 6, "\t\"c\""}, {Kept, 7, 7, "\t\"d\""}, {Kept, 8, 8, "\t\"e\""}, {Added, 0, 9, "\t\"f\""}, {Kept, 9, 10, ")"}}, files[0].Lines)
}

func TestFileThatDoesNotParseIsShownAllTheSame(t *testing.T) {
	before, after := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(before, "a.go"), []byte("not go\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(after, "a.go"), []byte("not go\nat all\n"), 0o644))
	files, err := Dirs(before, after, false)
	require.NoError(t, err)
	require.Contains(t, files[0].Lines, Line{Added, 0, 2, "at all"})
}

// TestChanges: each declaration that differs is listed, with its own lines.
func TestChanges(t *testing.T) {
	before, after := t.TempDir(), t.TempDir()
	write(t, before, "a.go", "package a\n\nimport \"os\"\n\nfunc same() {}\n\n// more gets a line, and loses one.\nfunc more() {\n\tone()\n\tlost()\n}\n\nfunc gone() {\n}\n\nfunc last() {}\n")
	write(t, after, "a.go", "package a\n\nimport \"io\"\n\nfunc same() {}\n\n// more gets a line, and loses one.\nfunc more() {\n\tone()\n\ttwo()\n\tthree()\n}\n\n// T is new.\ntype T int\n\nfunc last() {}\n")
	files, err := Dirs(before, after, false)
	require.NoError(t, err)
	require.Equal(t, []Change{{Name: "more", Added: 2, Removed: 1}, {Name: "T", New: true, Added: 2}, {Name: "gone", Gone: true, Removed: 2}}, files[0].Changes)
}
