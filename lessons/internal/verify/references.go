package verify

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"stagebox/lessons/internal/stages"
)

var (
	reference  = regexp.MustCompile("`((?:[a-z0-9_]+/)*[a-z0-9_]+\\.go)(?::([A-Za-z0-9_.]+))?`")
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headLine   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	lineNumber = regexp.MustCompile(`^[0-9]+$`)
)

// references resolves what the prose speaks of: in a lesson code, as `container.go:Container.Run`
// or a whole `container.go`, and that of tools as `plan/spawn.go:replay`; and in all Markdown
// links to files and headings.
func references(root string, all []stages.Stage) ([]Finding, error) {
	pages, err := markdown(root)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, page := range pages {
		text, err := readBytes(root, page)
		if err != nil {
			return nil, err
		}
		found = append(found, links(root, page, string(text))...)
		for _, s := range all {
			if s.Lesson() == page {
				found = append(found, code(all, s, page, string(text))...)
			}
		}
	}
	return found, nil
}

// markdown are the pages of the repository.
func markdown(root string) ([]string, error) {
	var pages []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			page, err := filepath.Rel(root, path)
			pages = append(pages, page)
			return err
		}
		return nil
	})
	return pages, err
}

// code resolves references to code in the stage of a lesson, and in the tools that it has.
func code(all []stages.Stage, s stages.Stage, page, text string) []Finding {
	var found []Finding
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		file, name := m[1], m[2]
		declared, err := declarationsOf(all, s, file)
		switch {
		case lineNumber.MatchString(name):
			found = append(found, Finding{page, m[0] + " quotes a line number, which will move: name a function or a type"})
		case err != nil:
			found = append(found, Finding{page, fmt.Sprintf("%s: %v%s", m[0], err, inATool(all, s, file))})
		case name != "" && !slices.Contains(declared, name):
			found = append(found, Finding{page, fmt.Sprintf("%s: %s has no %s", m[0], file, name)})
		}
	}
	return found
}

// declarationsOf are the names that a file declares of which a lesson speaks.
func declarationsOf(all []stages.Stage, s stages.Stage, file string) ([]string, error) {
	path, err := stages.Resolve(all, s.Number, file)
	if err != nil {
		return nil, err
	}
	return declarations(path)
}

// inATool says where a file that a stage does not have is in a tool of it; "" when it is nowhere.
func inATool(all []stages.Stage, s stages.Stage, file string) string {
	for _, earlier := range all[:s.Number] {
		tools, _ := earlier.Tools() // another rule says what cannot be read
		for _, t := range tools {
			files, _ := t.Files(false)
			if slices.Contains(files, filepath.Base(file)) {
				return fmt.Sprintf("; a tool has a file of that name: %s/%s", t.Name, filepath.Base(file))
			}
		}
	}
	return ""
}

// declarations are the names that a file declares at its top level; Type.Method for methods.
func declarations(path string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, stages.Receiver(d)+d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						names = append(names, id.Name)
					}
				}
			}
		}
	}
	return names, nil
}

// links resolves the relative links of a page.
func links(root, page, text string) []Finding {
	var found []Finding
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		target, anchor, _ := strings.Cut(m[1], "#")
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		path := filepath.Join(root, filepath.Dir(page), target)
		if target == "" {
			path = filepath.Join(root, page)
		}
		data, err := os.ReadFile(path)
		if info, errStat := os.Stat(path); errStat == nil && info.IsDir() {
			err = nil
		}
		switch {
		case err != nil:
			found = append(found, Finding{page, fmt.Sprintf("links to %s, which is not there", m[1])})
		case anchor != "" && !slices.Contains(slugs(string(data)), anchor):
			found = append(found, Finding{page, fmt.Sprintf("links to %s, and there is no such heading", m[1])})
		}
	}
	return found
}

// slugs are the anchors that GitHub gives to the headings of a page.
func slugs(text string) []string {
	var list []string
	for _, m := range headLine.FindAllStringSubmatch(text, -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		list = append(list, slug)
	}
	return list
}
