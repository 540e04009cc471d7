// The Dockerfile as its reference describes it: lines become instructions, instructions
// become stages. parseDockerfile is the entry; read joins continuation lines and takes
// here-documents, arguments splits what follows the keyword; then instructions.go says what
// each demands. Variables are left as they are: expand.go is for them.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Dockerfile is a file that has been parsed.
type Dockerfile struct {
	Name   string         // what messages call it
	Escape rune           // \, or ` after `# escape=`
	Check  string         // the value of `# check=`, or ""
	Args   []*Instruction // the ARGs above the first FROM
	Stages []*Stage

	lines []string // with their ends
	next  int      // the line to read next
}

// Stage is a FROM and what follows it.
type Stage struct {
	Index int
	Name  string // in small letters; "" without AS
	Base  string // an image, an earlier stage or scratch; may hold variables
	From  *Instruction
	Steps []*Instruction
}

// Instruction is one instruction. Which of the fields are filled depends on its name.
type Instruction struct {
	Name    string              // in capitals, such as RUN
	Keyword string              // the same as it was written
	Flags   map[string][]string // without the dashes; a yes-or-no flag is true or false
	Args    []string            // words or a JSON list (the last of ADD and COPY is the destination); else one text
	JSON    bool                // Args was a JSON list: the exec form
	Pairs   []Pair              // of ENV, LABEL and ARG
	Docs    []Heredoc           // of RUN; of ADD and COPY, where each is a source
	Health  *Healthcheck
	Mounts  []RunMount // of RUN, after expand

	Text        string   // as written, with its lines joined
	Comments    []string // the lines above
	First, Last int      // its lines, from 1

	file    *Dockerfile
	gap     int          // the line that an empty continuation line led to, or 0
	trigger *Instruction // of ONBUILD
}

// Pair is NAME=VALUE.
type Pair struct {
	Name, Value string
	Bare        bool // an ARG without a value
	Old         bool // written as NAME VALUE
}

// Heredoc is a here-document: <<NAME, lines, NAME.
type Heredoc struct {
	Name    string
	Content string
	Expand  bool // variables count, because NAME was not quoted
	Chomp   bool // <<-: tabs that begin a line do not count
}

// instructionFlags are the flags of each instruction: NAME= takes a value, NAME* may come
// more than once, NAME alone is yes or no.
var instructionFlags = map[string]string{
	"ADD":         "checksum= chmod= chown= exclude* keep-git-dir link unpack",
	"COPY":        "chmod= chown= exclude* from= link parents",
	"FROM":        "platform=",
	"HEALTHCHECK": "interval= retries= start-interval= start-period= timeout=",
	"RUN":         "mount* network= security=",

	"ARG": "", "CMD": "", "ENTRYPOINT": "", "ENV": "", "EXPOSE": "", "LABEL": "", "MAINTAINER": "",
	"ONBUILD": "", "SHELL": "", "STOPSIGNAL": "", "USER": "", "VOLUME": "", "WORKDIR": "",
}

// parseDockerfile parses src. An error is a *DockerfileError; name stands in it.
func parseDockerfile(name string, src []byte) (*Dockerfile, error) {
	f := &Dockerfile{Name: name, Escape: '\\', lines: strings.SplitAfter(strings.TrimPrefix(string(src), "\uFEFF"), "\n")}
	if end := len(f.lines) - 1; f.lines[end] == "" {
		f.lines = f.lines[:end]
	}
	for i, line := range f.lines {
		if strings.Contains(line, "\x00") {
			return nil, f.lineError(i+1, "\x00", "a NUL character: a Dockerfile is text, and this may be another kind of file")
		}
	}
	if err := f.directives(); err != nil {
		return nil, err
	}
	for {
		in, err := f.read()
		if err == nil && in != nil {
			err = f.add(in)
		}
		if err != nil {
			return nil, err
		}
		if in == nil {
			break
		}
	}
	if len(f.Stages) == 0 {
		return nil, &DockerfileError{File: name, Message: "there is no FROM in it: begin with FROM and the image to start with, or FROM scratch"}
	}
	if err := f.link(); err != nil {
		return nil, err
	}
	return f, nil
}

// directives reads the parser directives, which only the first lines can be. Below a line
// #! they are comments, except check.
func (f *Dockerfile) directives() error {
	script := len(f.lines) > 0 && strings.HasPrefix(f.lines[0], "#!")
	seen := map[string]bool{}
	for i, line := range f.lines {
		if script && i == 0 {
			continue
		}
		key, value, ok := directive(strings.TrimLeftFunc(line, unicode.IsSpace))
		switch {
		case !ok:
			return nil
		case !script && seen[key]:
			return f.lineError(i+1, key, "a second directive %s: there may be one", key)
		case !script && key == "escape" && value != `\` && value != "`":
			return f.lineError(i+1, value, "escape=%s: there are \\ and `", value)
		case !script && key == "escape":
			f.Escape = rune(value[0])
		case key == "check" && !seen[key]:
			f.Check, _, _ = strings.Cut(value, " ")
		}
		if seen[key] = true; !script {
			f.next = i + 1
		}
	}
	return nil
}

// directive reads `# NAME=VALUE`; ok is false for any other line.
func directive(line string) (name, value string, ok bool) {
	line, isComment := strings.CutPrefix(line, "#")
	name, value, ok = strings.Cut(line, "=")
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	known := slices.Contains([]string{"check", "escape", "syntax"}, name)
	return name, value, isComment && ok && known && value != ""
}

// read reads the next instruction with its here-documents; it is nil at the file's end.
func (f *Dockerfile) read() (*Instruction, error) {
	var comments []string
	for f.next < len(f.lines) {
		raw := f.lines[f.next]
		f.next++
		line := strings.TrimLeftFunc(strings.TrimRight(raw, "\r\n"), unicode.IsSpace)
		if strings.HasPrefix(line, "#") {
			comment := strings.TrimSpace(raw[1:]) // an indented one keeps its #, as in BuildKit
			if comments = append(comments, comment); comment == "" {
				comments = nil
			}
			continue
		}
		text, more := f.continues(line)
		if text == "" && !more {
			continue
		}
		in := &Instruction{First: f.next, Comments: comments, file: f}
		text = f.join(in, text, more)
		in.Last = f.next
		if err := in.parse(text); err != nil {
			return nil, err
		}
		if err := in.documents(text); err != nil {
			return nil, err
		}
		return in, in.validate(text)
	}
	return nil, nil
}

// continues cuts the escape character at a line's end, unless another stands before it.
func (f *Dockerfile) continues(line string) (string, bool) {
	escape := string(f.Escape)
	cut, ok := strings.CutSuffix(strings.TrimRight(line, " \t"), escape)
	if !ok || strings.HasSuffix(cut, escape) {
		return line, false
	}
	return cut, true
}

// join adds the continuation lines. Comments and empty lines between them do not count.
func (f *Dockerfile) join(in *Instruction, text string, more bool) string {
	var all strings.Builder
	all.WriteString(text)
	for more && f.next < len(f.lines) {
		line := strings.TrimRight(f.lines[f.next], "\r\n")
		f.next++
		switch trimmed := strings.TrimLeftFunc(line, unicode.IsSpace); {
		case trimmed == "":
			in.gap = f.next
		case trimmed[0] != '#':
			line, more = f.continues(line)
			all.WriteString(line)
		}
	}
	if in.gap > 0 {
		in.gap = f.next
	}
	return all.String()
}

// parse takes a line apart: keyword, flags, arguments.
func (in *Instruction) parse(text string) error {
	in.Text = strings.TrimSpace(text)
	keyword, rest := cutWord(in.Text)
	in.Keyword, in.Name = keyword, strings.ToUpper(keyword)
	if _, known := instructionFlags[in.Name]; !known {
		e := in.errorAt(keyword, "unknown instruction %s", keyword)
		e.Suggestion = nearest(in.Name, slices.Sorted(maps.Keys(instructionFlags)))
		return e
	}
	flags, rest := in.flagWords(rest)
	if err := in.setFlags(flags); err != nil {
		return err
	}
	return in.arguments(strings.TrimSpace(rest))
}

func isBlank(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' && r != '\n' }

// cutWord cuts the first word off.
func cutWord(text string) (word, rest string) {
	if i := strings.IndexFunc(text, isBlank); i >= 0 {
		return text[:i], strings.TrimLeftFunc(text[i:], isBlank)
	}
	return text, ""
}

// quotedWord cuts off what stands before the first blank that is neither quoted nor
// escaped: as it is, and without quotes and escapes. An escape at the end does not count.
func (in *Instruction) quotedWord(text string, inSingle bool) (raw, plain, rest string) {
	var word strings.Builder
	quoted, escaped := rune(0), false
	for i, r := range text {
		switch {
		case escaped:
			escaped = false
			word.WriteRune(r)
		case r == in.file.Escape && (quoted != '\'' || inSingle):
			escaped = true
		case r == quoted:
			quoted = 0
		case quoted == 0 && (r == '"' || r == '\''):
			quoted = r
		case quoted == 0 && unicode.IsSpace(r):
			return text[:i], word.String(), text[i:]
		default:
			word.WriteRune(r)
		}
	}
	if escaped {
		text = strings.TrimSuffix(text, string(in.file.Escape))
	}
	return text, word.String(), ""
}

// quotedWords are the words with their quotes and escapes, which the expansion reads.
func (in *Instruction) quotedWords(text string) (words []string) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeftFunc(text, unicode.IsSpace) {
		var word string
		if word, _, text = in.quotedWord(text, false); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// flagWords cuts off the words that begin with --, up to one that is no more than that.
func (in *Instruction) flagWords(text string) (flags []string, rest string) {
	for strings.HasPrefix(text, "--") {
		var word string
		_, word, text = in.quotedWord(text, true)
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if word == "--" {
			break
		}
		flags = append(flags, word)
	}
	return flags, text
}

// setFlags checks the flags and keeps them.
func (in *Instruction) setFlags(words []string) error {
	in.Flags = map[string][]string{}
	known := strings.Fields(instructionFlags[in.Name])
	for _, word := range words {
		name, value, hasValue := strings.Cut(word[2:], "=")
		place := "--" + name
		switch {
		case slices.Contains(known, name):
			if !hasValue {
				value = "true"
			}
			if value = strings.ToLower(value); value != "true" && value != "false" {
				return in.errorAt(place, "--%s=%s: a yes-or-no flag is true or false", name, value)
			}
		case !slices.Contains(known, name+"=") && !slices.Contains(known, name+"*"):
			e := in.errorAt(place, "%s has no flag --%s", in.Name, name)
			if near := nearest(name, strings.Fields(strings.NewReplacer("=", "", "*", "").Replace(instructionFlags[in.Name]))); near != "" {
				e.Suggestion = "--" + near
			}
			return e
		case !hasValue:
			return in.errorAt(place, "--%s needs a value: --%s=VALUE", name, name)
		}
		if len(in.Flags[name]) > 0 && !slices.Contains(known, name+"*") {
			return in.errorAt(place, "--%s stands here twice", name)
		}
		in.Flags[name] = append(in.Flags[name], value)
	}
	return nil
}

// flag is the value of a flag that is given at most once, or "".
func (in *Instruction) flag(name string) string {
	if values := in.Flags[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// arguments splits what follows the flags, each instruction in its way.
func (in *Instruction) arguments(rest string) (err error) {
	switch in.Name {
	case "ADD", "COPY", "VOLUME":
		if err = in.jsonList(rest); !in.JSON {
			in.Args = strings.FieldsFunc(rest, isBlank)
		}
	case "FROM", "EXPOSE":
		in.Args = strings.FieldsFunc(rest, isBlank)
	case "CMD", "ENTRYPOINT", "RUN", "SHELL":
		err = in.jsonOrText(rest)
	case "HEALTHCHECK":
		kind, command := cutWord(rest)
		if err = in.jsonOrText(command); kind != "" {
			in.Args = append([]string{kind}, in.Args...)
		}
	case "ARG":
		for _, word := range in.quotedWords(rest) {
			name, value, ok := strings.Cut(word, "=")
			in.Pairs = append(in.Pairs, Pair{Name: name, Value: value, Bare: !ok})
		}
	case "ENV", "LABEL":
		err = in.pairs(rest)
	case "ONBUILD":
		if rest != "" {
			in.trigger = &Instruction{file: in.file, First: in.First, Last: in.Last}
			err = in.trigger.parse(rest)
		}
	default:
		if rest != "" {
			in.Args = []string{rest}
		}
	}
	return err
}

// jsonList takes a JSON list of strings. Anything else that is not one is no error here.
func (in *Instruction) jsonList(rest string) error {
	var list []any
	if !strings.HasPrefix(rest, "[") || json.Unmarshal([]byte(rest), &list) != nil {
		return nil
	}
	in.JSON, in.Args = true, []string{}
	for i, value := range list {
		text, ok := value.(string)
		if !ok {
			return in.errorAt("[", "value %d of the JSON list is not a string: put it in double quotes", i+1)
		}
		in.Args = append(in.Args, text)
	}
	return nil
}

func (in *Instruction) jsonOrText(rest string) error {
	err := in.jsonList(rest)
	if !in.JSON && rest != "" {
		in.Args = []string{rest}
	}
	return err
}

// pairs reads NAME=VALUE words, or the old form NAME VALUE, for which a first word without
// an equals sign stands.
func (in *Instruction) pairs(rest string) error {
	words := in.quotedWords(rest)
	if len(words) > 0 && !strings.Contains(words[0], "=") {
		name, value := cutWord(rest)
		if name == rest {
			return in.errorAt(name, "%s %s: a value is missing: %s=VALUE", in.Name, name, name)
		}
		in.Pairs = []Pair{{Name: name, Value: value, Old: true}}
		return nil
	}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return in.errorAt(word, "%s: there is no = in %q; a value with blanks needs quotes", in.Name, word)
		}
		in.Pairs = append(in.Pairs, Pair{Name: name, Value: value})
	}
	return nil
}

// documents reads the here-documents that an ADD, COPY or RUN announces.
func (in *Instruction) documents(text string) error {
	taker := cmp.Or(in.trigger, in)
	if taker.JSON || !slices.Contains([]string{"ADD", "COPY", "RUN"}, taker.Name) || !strings.Contains(text, "<<") {
		return nil
	}
	words, err := heredocWords(text, true, true)
	if err != nil {
		return nil // a shell may make sense of it; no here-document is seen in it
	}
	for _, word := range words {
		doc, err := parseHeredoc(word)
		if err != nil {
			return in.errorAt(word, "%s: %v", word, err)
		}
		if doc == nil {
			continue
		}
		if err := in.file.content(doc); err != nil {
			return in.errorAt(word, "%v", err)
		}
		in.Docs, in.Last = append(in.Docs, *doc), in.file.next
	}
	return nil
}

// content reads a here-document up to its end.
func (f *Dockerfile) content(doc *Heredoc) error {
	var content strings.Builder
	for f.next < len(f.lines) {
		raw := f.lines[f.next]
		f.next++
		line := strings.TrimRight(raw, "\r\n")
		if doc.Chomp {
			line = strings.TrimLeft(line, "\t")
		}
		if line == doc.Name {
			doc.Content = content.String()
			return nil
		}
		content.WriteString(raw)
	}
	return fmt.Errorf("the here-document never ends: no line is %s alone", doc.Name)
}

// parseHeredoc reads <<NAME, <<-NAME, <<"NAME" or 3<<NAME; nil is any other word.
func parseHeredoc(word string) (*Heredoc, error) {
	name, ok := strings.CutPrefix(strings.TrimLeft(word, "0123456789"), "<<")
	name, chomp := strings.CutPrefix(name, "-")
	name = strings.TrimLeft(name, "\t\n\f\r ")
	if !ok || name == "" || strings.Contains(name, "<") {
		return nil, nil
	}
	words, err := heredocWords(name, false, false)
	if err != nil || len(words) != 1 {
		return nil, err
	}
	quoted, err := heredocWords(name, true, false)
	if err != nil || len(quoted) != 1 {
		return nil, err
	}
	quotes := func(s string) int { return strings.Count(s, `'`) + strings.Count(s, `"`) }
	return &Heredoc{Name: words[0], Expand: quotes(words[0]) == quotes(quoted[0]), Chomp: chomp}, nil
}

// heredocWords splits as a shell does, whose escape is always \. Variables stay.
func heredocWords(text string, rawQuotes, rawEscapes bool) ([]string, error) {
	l := lexer{in: []rune(text), escape: '\\', get: noVariables, verbatim: true, rawQuotes: rawQuotes, rawEscapes: rawEscapes}
	_, words, err := l.until(endOfText, false)
	return words, err
}

// trimTabs is a here-document's content without the tabs that begin its lines.
func trimTabs(content string) string {
	lines := strings.SplitAfter(content, "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], "\t")
	}
	return strings.Join(lines, "")
}

// add puts an instruction into its stage, and FROM begins one.
func (f *Dockerfile) add(in *Instruction) error {
	switch {
	case in.Name == "FROM":
		s := &Stage{Index: len(f.Stages), Base: in.Args[0], From: in}
		if len(in.Args) == 3 {
			s.Name = strings.ToLower(in.Args[2])
			rest := strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")
			if rest != "" || s.Name[0] < 'a' || s.Name[0] > 'z' {
				return in.errorAt(in.Args[2], "%s cannot be a stage's name: it begins with a letter; digits, - _ and . may follow", in.Args[2])
			}
		}
		f.Stages = append(f.Stages, s)
	case len(f.Stages) > 0:
		s := f.Stages[len(f.Stages)-1]
		s.Steps = append(s.Steps, in)
	case in.Name == "ARG":
		f.Args = append(f.Args, in)
	default:
		return in.errorAt("", "%s stands above the first FROM, where only ARG may", in.Name)
	}
	return nil
}

// stageNamed is the stage with a name, the last if there are several; nil if there is none.
func (f *Dockerfile) stageNamed(name string) *Stage {
	for _, s := range slices.Backward(f.Stages) {
		if s.Name != "" && strings.EqualFold(s.Name, name) {
			return s
		}
	}
	return nil
}

// parent is the earlier stage that FROM base means, once base has no more variables; nil
// is an image.
func (f *Dockerfile) parent(s *Stage, base string) *Stage {
	for _, earlier := range slices.Backward(f.Stages[:s.Index]) {
		if earlier.Name != "" && earlier.Name == base {
			return earlier
		}
	}
	return nil
}

// from is the stage that a --from=REF means, by name or, in COPY, by number; nil is an image.
func (f *Dockerfile) from(in *Instruction, ref string) (*Stage, error) {
	number, err := strconv.Atoi(ref)
	if in.Name != "COPY" || err != nil {
		return f.stageNamed(ref), nil
	}
	if number < 0 || number >= len(f.Stages) {
		return nil, in.errorAt("--from="+ref, "--from=%s: stages are numbered from 0 to %d", ref, len(f.Stages)-1)
	}
	return f.Stages[number], nil
}

// refs are the --from=REF of an instruction, and the from=REF of its mounts.
func (in *Instruction) refs() (refs []string) {
	if in.flag("from") != "" {
		refs = append(refs, in.flag("from"))
	}
	for _, text := range in.Flags["mount"] {
		if m, err := parseRunMount(text, nil); err == nil && m.From != "" {
			refs = append(refs, m.From)
		}
	}
	return refs
}

// link checks that files come from earlier stages only, as FROM can by its nature.
func (f *Dockerfile) link() error {
	for _, s := range f.Stages {
		for _, in := range s.Steps {
			for _, ref := range in.refs() {
				if plain, err := expandWord(ref, f.Escape, noVariables); in.Name == "COPY" && (err != nil || plain != ref) {
					return in.errorAt(ref, "--from=%s: it takes no variable; give the image a name with FROM … AS, and take that", ref)
				}
				from, err := f.from(in, ref)
				switch {
				case err != nil:
					return err
				case from == s:
					return in.errorAt(ref, "circular: stage %s would take files from itself", ref)
				case from != nil && from.Index > s.Index:
					return in.errorAt(ref, "stage %s comes below this one, and may even need it: put it above; two stages that need each other are circular", ref)
				}
			}
		}
	}
	return nil
}
