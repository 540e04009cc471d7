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

// mention is a passage that names a file, and perhaps a declaration in it; or one that only
// shows at work what the file has its name from, as `box ps` does ps.go.
type mention struct {
	file, name string
	atWork     bool
	passage    *passage
}

// named is how prose names code: `exec.go`, `exec.go:Exec.Run` or, of a tool, `plan/spawn.go:replay`.
var named = regexp.MustCompile(`^((?:[a-z0-9_]+/)*[a-z0-9_]+\.go)(?::([A-Za-z_][A-Za-z0-9_.]*))?$`)

// used is how prose and sessions name commands and flags.
var used = regexp.MustCompile(`(?:\bbox |--)([a-z]+)\b`)

// explain finds, for all that is changed, the passage that explains it. The rule is the
// reader's own: a passage explains what it names. A declaration that none names is left to
// its type's passage and then to its file's. A file is explained by its stage's lesson, or
// else by the lesson of the latest stage before that names it; one that no lesson names by
// the first passage that shows its command or flag at work.
func (s *Site) explain() {
	latest, atWork := map[string]*passage{}, map[string]*passage{}
	for i, st := range s.stages {
		var mentions []mention
		if s.lessons[i] != nil {
			mentions = s.lessons[i].mentions
		}
		for _, m := range mentions {
			if m.atWork && atWork[m.file] == nil {
				atWork[m.file] = m.passage
			} else if !m.atWork {
				latest[m.file] = speaksOf(mentions, m.file, "")
			}
		}
		for _, f := range st.all() {
			if f.explained = latest[f.Name]; f.explained == nil {
				f.explained = atWork[f.Name]
			}
			f.explainDeclarations(mentions)
		}
	}
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

// speaksOf is the first passage that names a declaration, or else its type. For a whole
// file, whose name is "", it is the first about the file itself, or else about a part.
func speaksOf(mentions []mention, file, name string) *passage {
	of, _, isMethod := strings.Cut(name, ".")
	var wider *passage
	for _, m := range mentions {
		if m.file != file || m.atWork {
			continue
		}
		if m.name == name {
			return m.passage
		}
		if wider == nil && (name == "" || isMethod && m.name == of) {
			wider = m.passage
		}
	}
	return wider
}

// codeLink is where code that the lesson of a stage names is shown: on the page of the
// stage that last changed the file, a tool's on that of the stage that introduces it. It is ""
// when there is no such code.
func (s *Site) codeLink(number int, name, declaration string) string {
	for i := number - 1; i >= 0; i-- {
		for _, f := range s.stages[i].all() {
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
