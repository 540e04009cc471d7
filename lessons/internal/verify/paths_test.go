package verify

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPaths: a stage has a path, of few enough lines, whose names resolve, and which leads to
// every function.
func TestPaths(t *testing.T) {
	long := func(n int) string { return "package main\n\nfunc main() {\n" + strings.Repeat("\t_ = 0\n", n) + "}\n" }
	files := map[string]string{
		"stage01-a/main.go":    long(firstPath - 2),
		"stage02-b/main.go":    long(longestPath - 2),
		"lessons/paths/01.txt": "main.go:main  What to see.\n",
		"lessons/paths/02.txt": "main.go:main  What to see.\n",
	}
	require.Empty(t, findings(t, paths, files))
	files["stage01-a/main.go"], files["stage02-b/main.go"] = long(firstPath-1), long(longestPath-1)
	require.Equal(t, "lessons/paths/01.txt: 701 lines to read, more than 700: leave out what a reader can do without\n"+
		"lessons/paths/02.txt: 901 lines to read, more than 900: leave out what a reader can do without", findings(t, paths, files))

	files["stage01-a/main.go"], files["stage02-b/main.go"] = long(1), long(1)+"\nfunc alone() {}\n"
	files["lessons/paths/01.txt"] += "main.go:main  Once more.\nmain.go:no  Not there.\n"
	require.Equal(t, "lessons/paths/01.txt:3: main.go: no declaration of no\n"+
		"lessons/paths/01.txt:2: main.go:main is on the path already, at lessons/paths/01.txt:1\n"+
		"lessons/paths/02.txt: main.go:alone is on no path, and nothing on one calls it: add it, or what calls it", findings(t, paths, files))

	delete(files, "lessons/paths/02.txt")
	require.Contains(t, findings(t, paths, files), "lessons/paths/02.txt: there is none: list what to read in this stage")
}

// TestSaidOfPaths: a lesson says how long its path is, and a tool what of it is read.
func TestSaidOfPaths(t *testing.T) {
	page := func(lines string) string { return "`go run ./lessons read 1` prints it: " + lines + ".\n" }
	files := map[string]string{
		"stage01-a/main.go":    "package main\n\nfunc main() {\n" + strings.Repeat("\t_ = 0\n", 98) + "}\n",
		"stage01-a/tool/a.go":  "// Package tool is one. The lesson reads Box.Run and New.\npackage tool\n",
		"lessons/paths/01.txt": "main.go:main  What to see of Box.Run.\n",
		"lessons/01-a.md":      page("some 100\nlines") + "It calls `New`.\n",
	}
	require.Empty(t, findings(t, paths, files))
	files["lessons/01-a.md"] = page("some 150 lines")
	require.Equal(t, "lessons/01-a.md: says that its path has some 150 lines, and it has 100\n"+
		"stage01-a/tool/a.go: says that the lesson reads New, which neither the lesson nor its path names", findings(t, paths, files))
	files["lessons/01-a.md"] = page("under 100 lines") + "New\n"
	require.Equal(t, "lessons/01-a.md: says that its path has under 100 lines, and it has 100", findings(t, paths, files))
}

// TestToolsOnPaths: a path's stop in a tool is among what the tool's comment says that is read.
func TestToolsOnPaths(t *testing.T) {
	files := map[string]string{
		"stage01-a/main.go":    "package main\n\nfunc main() {}\n",
		"stage01-a/tool/a.go":  "// Package tool is one. The lesson reads Box.Run and b.go.\npackage tool\n\ntype Box int\n\nfunc (Box) Run() {}\n\nfunc (Box) Stop() {}\n",
		"stage01-a/tool/b.go":  "package tool\n\nfunc Other() {}\n",
		"lessons/paths/01.txt": "main.go:main  It.\ntool/a.go:Box.Run  The one.\ntool/b.go:Other  In a file that is read.\n",
		"lessons/01-a.md":      "# 1\n",
	}
	require.Empty(t, findings(t, paths, files))
	files["lessons/paths/01.txt"] += "tool/a.go:Box.Stop  The other.\n"
	require.Equal(t, "lessons/paths/01.txt:4: has Box.Stop, which the package comment of the tool tool leaves out of what a lesson reads", findings(t, paths, files))
	files["lessons/paths/01.txt"] = "main.go:main  It.\ntool/a.go:Box.Run  The one.\n"
	files["stage01-a/tool/a.go"] = "// Package tool is one. No lesson reads it.\npackage tool\n\ntype Box int\n\nfunc (Box) Run() {}\n"
	require.Contains(t, findings(t, paths, files), "has Box.Run, which the package comment of the tool tool leaves out of what a lesson reads")
}
