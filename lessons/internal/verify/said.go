package verify

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	readingpaths "stagebox/lessons/internal/paths"
	"stagebox/lessons/internal/stages"
)

// said checks what lessons and tools say of a reading path: how long it is, and what of a tool a
// lesson reads.
func said(root string, p readingpaths.Path) ([]Finding, error) {
	pages, err := filepath.Glob(filepath.Join(root, "lessons", fmt.Sprintf("%02d-*.md", p.Stage.Number)))
	if err != nil || len(pages) == 0 {
		return nil, err
	}
	text, err := os.ReadFile(pages[0])
	if err != nil {
		return nil, err
	}
	page := filepath.Join("lessons", filepath.Base(pages[0]))
	read, err := os.ReadFile(filepath.Join(root, readingpaths.File(p.Stage)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	unread, err := unreadInTools(p.Stage, string(text)+string(read))
	if err != nil {
		return nil, err
	}
	unsaid, err := unsaidOfTools(p)
	return slices.Concat(lengthSaid(page, string(text), p.Lines()), unread, unsaid), err
}

// length is how a lesson says how much its path is.
var length = regexp.MustCompile(`read \d+` + "`" + `\s[^.]*?(some|under)\s(\d+)\s+lines`)

// lengthSaid finds a length that is off by more than a tenth, and one that is to be under a number
// and is not.
func lengthSaid(page, text string, lines int) []Finding {
	m := length.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	n, _ := strconv.Atoi(m[2])
	if off := max(n-lines, lines-n); m[1] == "under" && lines >= n || off > lines/10 {
		return []Finding{{page, fmt.Sprintf("says that its path has %s %d lines, and it has %d", m[1], n, lines)}}
	}
	return nil
}

var (
	// lessonReads is what a tool's package comment says of a lesson, to the end of the sentence.
	lessonReads = regexp.MustCompile(`[Ll]esson reads ((?:[^.]|\.\w)*)\.`)

	exported = regexp.MustCompile(`\b[A-Z]\w*(?:\.\w+)?\b`)
)

// unsaidOfTools finds names of tools that are on a path, while the package comment says that no
// lesson reads the tool, or which names a lesson reads, and not these. A file's name stands for all
// that is in it.
func unsaidOfTools(p readingpaths.Path) (found []Finding, err error) {
	comments, err := toolComments(p.Stage)
	for _, e := range p.Entries {
		tool, file, isTool := strings.Cut(e.File, "/")
		says := lessonReads.FindAllStringSubmatch(comments[tool], -1)
		if !isTool || e.Name == "" || len(says) == 0 {
			continue
		}
		last := e.Name[strings.LastIndex(e.Name, ".")+1:]
		named := regexp.MustCompile(`\b(` + regexp.QuoteMeta(last) + `|` + regexp.QuoteMeta(file) + `)\b`)
		if !slices.ContainsFunc(says, func(m []string) bool { return named.MatchString(m[1]) }) {
			found = append(found, Finding{e.Where,
				fmt.Sprintf("has %s, which the package comment of the tool %s leaves out of what a lesson reads", e.Name, tool)})
		}
	}
	return found, err
}

// toolComments returns the package comments of a stage's own tools, by name.
func toolComments(s stages.Stage) (map[string]string, error) {
	comments := map[string]string{}
	tools, err := s.Tools()
	for _, t := range tools {
		files, err := t.Files(false)
		if err != nil {
			return nil, err
		}
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(t.Dir(), name), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err == nil && file.Doc != nil {
				comments[filepath.Base(t.Path())] += strings.Join(strings.Fields(file.Doc.Text()), " ") + " "
			}
		}
	}
	return comments, err
}

// unreadInTools finds names that the package comment of a tool says a lesson reads, and that
// neither the lesson nor its path has.
func unreadInTools(s stages.Stage, read string) (found []Finding, err error) {
	tools, err := s.Tools()
	for _, t := range tools {
		files, err := t.Files(false)
		if err != nil {
			return nil, err
		}
		for _, name := range files {
			path := filepath.Join(t.Dir(), name)
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil || file.Doc == nil {
				continue // another rule says that it does not parse
			}
			comment := strings.Join(strings.Fields(file.Doc.Text()), " ")
			for _, m := range lessonReads.FindAllStringSubmatch(comment, -1) {
				for _, word := range exported.FindAllString(m[1], -1) {
					if !regexp.MustCompile(`\b` + regexp.QuoteMeta(word) + `\b`).MatchString(read) {
						found = append(found, Finding{filepath.Join(t.Path(), name),
							fmt.Sprintf("says that the lesson reads %s, which neither the lesson nor its path names", word)})
					}
				}
			}
		}
	}
	return found, err
}
