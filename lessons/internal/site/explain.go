package site

import (
	"regexp"
	"strings"
)

// passage is a place in a lesson that speaks of code: a paragraph, an item or a row.
type passage struct {
	doc     *document
	id      string
	heading string
}

// mention is a passage that names a file, and perhaps a declaration in it.
type mention struct {
	file, name string
	passage    *passage
}

// named is how prose names code: `plan.go` or `plan.go:Plan.Execve`.
var named = regexp.MustCompile(`^([a-z_]+\.go)(?::([A-Za-z_][A-Za-z0-9_.]*))?$`)

// explain finds, for all that is changed, the passage that explains it. The rule is the
// reader's own: a passage explains what it names. A declaration that none names is left to
// its type's passage and then to its file's. A file is explained by its stage's lesson, or
// else by the lesson of the latest stage before that names it.
func (s *Site) explain() {
	latest := map[string]*passage{}
	for i, st := range s.stages {
		mentions := []mention{}
		if s.lessons[i] != nil {
			mentions = s.lessons[i].mentions
		}
		files := map[string]*passage{}
		for _, m := range mentions {
			if better := files[m.file]; better == nil {
				files[m.file] = m.passage
			}
		}
		for _, m := range mentions { // a passage about the whole file before one about a part
			if m.name == "" && firstAlone(mentions, m) {
				files[m.file] = m.passage
			}
		}
		for name, p := range files {
			latest[name] = p
		}
		for _, f := range st.files {
			f.explained = latest[f.Name]
			f.explainDeclarations(mentions)
		}
	}
}

// firstAlone tells whether m is the first that names its file and no part of it.
func firstAlone(all []mention, m mention) bool {
	for _, other := range all {
		if other.file == m.file && other.name == "" {
			return other.passage == m.passage
		}
	}
	return false
}

func (f *file) explainDeclarations(mentions []mention) {
	for _, d := range f.decls {
		for _, name := range d.names {
			if d.explained == nil {
				d.explained = speaksOf(mentions, f.Name, name)
			}
		}
	}
}

// speaksOf is the first passage that names a declaration, or else its type.
func speaksOf(mentions []mention, file, name string) *passage {
	of, _, isMethod := strings.Cut(name, ".")
	var ofType *passage
	for _, m := range mentions {
		if m.file != file {
			continue
		}
		if m.name == name {
			return m.passage
		}
		if isMethod && m.name == of && ofType == nil {
			ofType = m.passage
		}
	}
	return ofType
}

// codeLink is where code that the lesson of a stage names is shown: on the page of the
// stage that last changed the file. It is "" when there is no such code.
func (s *Site) codeLink(number int, name, declaration string) string {
	for i := number - 1; i >= 0; i-- {
		for _, f := range s.stages[i].files {
			if f.Name != name {
				continue
			}
			if declaration == "" {
				return s.stages[i].page() + "#" + name
			}
			if f.declares(declaration) != nil {
				return s.stages[i].page() + "#" + anchor(name, declaration)
			}
			return ""
		}
	}
	return ""
}
