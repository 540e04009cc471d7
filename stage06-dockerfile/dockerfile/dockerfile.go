// Package dockerfile reads Dockerfiles as the Dockerfile reference describes them. Parse turns
// a file into stages of instructions, Instruction.Expand replaces the variables of one
// instruction, Check reports what is allowed and seldom meant, and Ignore holds the patterns
// of a .dockerignore file. A mistake is returned as an Error, which knows its place in the
// file and can show it with a caret.
//
// The lesson reads dockerfile.go and instructions.go: how lines become instructions, and what
// each instruction requires; then Expand and File.Needs. In dockerfile.go, File.read joins
// continuation lines and collects here-documents, and Instruction.arguments splits what follows the
// keyword. Stage.IsCalled is for later stages.
package dockerfile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"stagebox/stage04-unionfs/nearest"
)

// File is a parsed Dockerfile.
type File struct {
	Name   string         // the file's name in messages
	Escape rune           // \, or ` after `# escape=`
	Check  string         // the value of `# check=`, or ""
	Args   []*Instruction // the ARGs above the first FROM
	Stages []*Stage       // at least one

	lines  []string // with their line ends
	next   int      // the line to read next
	broken bool     // it ends before a mistake
}

// Stage is a FROM instruction and the instructions that follow it.
type Stage struct {
	Index int    // its position in File.Stages
	Name  string // in lower case; "" without AS
	Base  string // an image, an earlier stage or scratch; may contain variables
	From  *Instruction
	Steps []*Instruction
}

// Instruction is one instruction. Which fields are set depends on its name.
type Instruction struct {
	Name    string              // in upper case, such as RUN
	Keyword string              // the name as written
	Flags   map[string][]string // by name without dashes; a boolean flag is "true" or "false"
	Args    []string            // words or a JSON list (of ADD and COPY, the destination is last)
	JSON    bool                // Args was a JSON list: the exec form
	Pairs   []Pair              // of ENV, LABEL and ARG
	Docs    []Heredoc           // of RUN; of ADD and COPY, where each is a source
	Health  *Healthcheck        // of HEALTHCHECK
	Mounts  []Mount             // of RUN, once expanded

	Text        string   // as written, with its lines joined
	Comments    []string // the comment lines above it
	First, Last int      // its lines, from 1

	file    *File
	gap     int          // the line that an empty continuation line led to, or 0
	trigger *Instruction // of ONBUILD
}

// Pair is NAME=VALUE.
type Pair struct {
	Name, Value string
	Bare        bool // an ARG without a value
	Old         bool // written in the old form, NAME VALUE
}

// Heredoc is a here-document: <<NAME, lines, NAME.
type Heredoc struct {
	Name    string
	Content string
	Expand  bool // variables are replaced, because NAME was not quoted
	Chomp   bool // <<-: leading tabs are removed
}

// instructionFlags lists the flags of each instruction: NAME= takes a value, NAME* may be
// repeated, NAME alone is a boolean.
var instructionFlags = [...]struct{ name, flags string }{
	{"ADD", "checksum= chmod= chown= exclude* keep-git-dir link unpack"}, {"ARG", ""},
	{"CMD", ""}, {"COPY", "chmod= chown= exclude* from= link parents"}, {"ENTRYPOINT", ""},
	{"ENV", ""}, {"EXPOSE", ""}, {"FROM", "platform="},
	{"HEALTHCHECK", "interval= retries= start-interval= start-period= timeout="}, {"LABEL", ""},
	{"MAINTAINER", ""}, {"ONBUILD", ""}, {"RUN", "device* mount* network= security="}, {"SHELL", ""},
	{"STOPSIGNAL", ""}, {"USER", ""}, {"VOLUME", ""}, {"WORKDIR", ""},
}

// flagsOf returns the flags of an instruction, and whether there is such an instruction.
func flagsOf(name string) (flags []string, known bool) {
	for _, i := range instructionFlags {
		if i.name == name {
			return strings.Fields(i.flags), true
		}
	}
	return nil, false
}

// instructionNames returns the names of all instructions, sorted.
func instructionNames() (names []string) {
	for _, i := range instructionFlags {
		names = append(names, i.name)
	}
	return names
}

// Parse parses src, the content of a Dockerfile. Messages call the file name. Every error is
// an *Error.
func Parse(name string, src []byte) (*File, error) {
	f, err := ParseUpTo(name, src)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ParseUpTo parses a Dockerfile. With an error it returns the instructions that precede it, for
// Check.
func ParseUpTo(name string, src []byte) (*File, error) {
	text := strings.TrimPrefix(string(src), "\uFEFF")
	f := &File{Name: name, Escape: '\\', lines: strings.SplitAfter(text, "\n")}
	if end := len(f.lines) - 1; f.lines[end] == "" {
		f.lines = f.lines[:end]
	}
	for i, line := range f.lines {
		if strings.Contains(line, "\x00") {
			f.broken = true
			return f, f.lineError(i+1, "\x00",
				"a NUL character: a Dockerfile is text, and this may be another kind of file")
		}
	}
	err := f.directives()
	if err == nil {
		err = f.readAll()
	}
	if err == nil && len(f.Stages) == 0 {
		err = &Error{File: name, Message: "there is no FROM in it: begin with FROM and " +
			"the image to start with, or FROM scratch"}
	}
	if err == nil {
		err = f.link()
	}
	f.broken = err != nil
	return f, err
}

// readAll reads the instructions and puts them into their stages.
func (f *File) readAll() error {
	for {
		in, err := f.read()
		if err != nil || in == nil {
			return err
		}
		if err := f.add(in); err != nil {
			return err
		}
	}
}

// directives reads the parser directives, which can only be the first lines. After a #! line
// they are comments, except check.
func (f *File) directives() error {
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

// directive parses `# NAME=VALUE`; ok is false for any other line.
func directive(line string) (name, value string, ok bool) {
	line, isComment := strings.CutPrefix(line, "#")
	name, value, ok = strings.Cut(line, "=")
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	known := slices.Contains([]string{"check", "escape", "syntax"}, name)
	return name, value, isComment && ok && known && value != ""
}

// read reads the next instruction with its here-documents; nil at the end of the file.
func (f *File) read() (*Instruction, error) {
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

// continues cuts off the escape character that ends a line, unless another precedes it.
func (f *File) continues(line string) (string, bool) {
	escape := string(f.Escape)
	cut, ok := strings.CutSuffix(strings.TrimRight(line, " \t"), escape)
	if !ok || strings.HasSuffix(cut, escape) {
		return line, false
	}
	return cut, true
}

// join appends the continuation lines. Comments and empty lines among them are skipped.
func (f *File) join(in *Instruction, text string, more bool) string {
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

// parse splits a line into keyword, flags and arguments.
func (in *Instruction) parse(text string) error {
	in.Text = strings.TrimSpace(text)
	keyword, rest := cutWord(in.Text)
	in.Keyword, in.Name = keyword, strings.ToUpper(keyword)
	if _, known := flagsOf(in.Name); !known {
		e := in.ErrorAt(keyword, "unknown instruction %s", keyword)
		e.Suggestion = nearest.To(in.Name, instructionNames())
		return e
	}
	flags, rest := in.flagWords(rest)
	if err := in.setFlags(flags); err != nil {
		return err
	}
	return in.arguments(strings.TrimSpace(rest))
}

func isBlank(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' && r != '\n' }

// cutWord cuts off the first word.
func cutWord(text string) (word, rest string) {
	if i := strings.IndexFunc(text, isBlank); i >= 0 {
		return text[:i], strings.TrimLeftFunc(text[i:], isBlank)
	}
	return text, ""
}

// quotedWord cuts off the text before the first blank that is neither quoted nor escaped, and
// returns it as written and without quotes and escapes. An escape at the end is dropped.
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

// quotedWords splits a text into words that keep their quotes and escapes, for the expansion.
func (in *Instruction) quotedWords(text string) (words []string) {
	for text = strings.TrimSpace(text); text != ""; {
		var word string
		if word, _, text = in.quotedWord(text, false); word != "" {
			words = append(words, word)
		}
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
	}
	return words
}

// flagWords cuts off the leading words that begin with --, up to a lone --.
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

// setFlags checks the flags and stores them.
func (in *Instruction) setFlags(words []string) error {
	in.Flags = map[string][]string{}
	known, _ := flagsOf(in.Name)
	for _, word := range words {
		name, value, hasValue := strings.Cut(word[2:], "=")
		place := "--" + name
		switch {
		case slices.Contains(known, name):
			if !hasValue {
				value = "true"
			}
			if value = strings.ToLower(value); value != "true" && value != "false" {
				return in.ErrorAt(place, "--%s=%s: a yes-or-no flag is true or false", name, value)
			}
		case !slices.Contains(known, name+"=") && !slices.Contains(known, name+"*"):
			e := in.ErrorAt(place, "%s has no flag --%s", in.Name, name)
			names := strings.Fields(strings.NewReplacer("=", "", "*", "").Replace(strings.Join(known, " ")))
			if near := nearest.To(name, names); near != "" {
				e.Suggestion = "--" + near
			}
			return e
		case !hasValue:
			return in.ErrorAt(place, "--%s needs a value: --%s=VALUE", name, name)
		}
		if len(in.Flags[name]) > 0 && !slices.Contains(known, name+"*") {
			return in.ErrorAt(place, "duplicate flag --%s", name)
		}
		in.Flags[name] = append(in.Flags[name], value)
	}
	return nil
}

// Flag returns the value of a flag that may be given once, or "" when it is not set.
func (in *Instruction) Flag(name string) string {
	if values := in.Flags[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// arguments splits what follows the flags, as each instruction requires.
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

// jsonList stores the arguments if they are a JSON list. Text that is not one is not an error.
func (in *Instruction) jsonList(rest string) error {
	var list []any
	if !strings.HasPrefix(rest, "[") || json.Unmarshal([]byte(rest), &list) != nil {
		return nil
	}
	in.JSON, in.Args = true, []string{}
	for i, value := range list {
		text, ok := value.(string)
		if !ok {
			return in.ErrorAt("[",
				"value %d of the JSON list is not a string: put it in double quotes", i+1)
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

// pairs reads NAME=VALUE words, or the old form NAME VALUE, which is assumed when the first
// word has no equals sign.
func (in *Instruction) pairs(rest string) error {
	words := in.quotedWords(rest)
	if len(words) > 0 && !strings.Contains(words[0], "=") {
		name, value := cutWord(rest)
		if name == rest {
			return in.ErrorAt(name, "%s %s: a value is missing: %s=VALUE", in.Name, name, name)
		}
		in.Pairs = []Pair{{Name: name, Value: value, Old: true}}
		return nil
	}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return in.ErrorAt(word,
				"%s: there is no = in %q; a value with blanks needs quotes", in.Name, word)
		}
		in.Pairs = append(in.Pairs, Pair{Name: name, Value: value})
	}
	return nil
}

// documents reads the here-documents that an ADD, COPY or RUN announces.
func (in *Instruction) documents(text string) error {
	taker := cmp.Or(in.trigger, in)
	takes := !taker.JSON && slices.Contains([]string{"ADD", "COPY", "RUN"}, taker.Name)
	if !takes || !strings.Contains(text, "<<") {
		return nil
	}
	words, err := heredocWords(text, true, true)
	if err != nil {
		return nil // perhaps valid for the shell; it has no here-document
	}
	for _, word := range words {
		doc, err := parseHeredoc(word)
		if err != nil {
			return in.ErrorAt(word, "%s: %v", word, err)
		}
		if doc == nil {
			continue
		}
		if err := in.file.content(doc); err != nil {
			return in.ErrorAt(word, "%v", err)
		}
		in.Docs, in.Last = append(in.Docs, *doc), in.file.next
	}
	return nil
}

// content reads the lines of a here-document up to its delimiter.
func (f *File) content(doc *Heredoc) error {
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

// parseHeredoc parses <<NAME, <<-NAME, <<"NAME" or 3<<NAME; nil for any other word.
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
	expand := quotes(words[0]) == quotes(quoted[0])
	return &Heredoc{Name: words[0], Expand: expand, Chomp: chomp}, nil
}

// trimTabs removes the tabs that begin the lines of a here-document.
func trimTabs(content string) string {
	lines := strings.SplitAfter(content, "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], "\t")
	}
	return strings.Join(lines, "")
}

// add appends an instruction to its stage; FROM begins a new one.
func (f *File) add(in *Instruction) error {
	switch {
	case in.Name == "FROM":
		s := &Stage{Index: len(f.Stages), Base: in.Args[0], From: in}
		if len(in.Args) == 3 {
			s.Name = strings.ToLower(in.Args[2])
			rest := strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")
			if rest != "" || s.Name[0] < 'a' || s.Name[0] > 'z' {
				return in.ErrorAt(in.Args[2], "%s cannot be a stage's name: "+
					"it begins with a letter; digits, - _ and . may follow", in.Args[2])
			}
		}
		f.Stages = append(f.Stages, s)
	case len(f.Stages) > 0:
		s := f.Stages[len(f.Stages)-1]
		s.Steps = append(s.Steps, in)
	case in.Name == "ARG":
		f.Args = append(f.Args, in)
	default:
		return in.ErrorAt("", "%s precedes the first FROM: only ARG may", in.Name)
	}
	return nil
}

// IsCalled reports whether a stage has a name, in any case, or a number.
func (s *Stage) IsCalled(name string) bool {
	return s.Name != "" && strings.EqualFold(name, s.Name) || name == fmt.Sprint(s.Index)
}

// StageNamed returns the stage with a name, in any case: the last if several have it, nil if
// none has.
func (f *File) StageNamed(name string) *Stage {
	for _, s := range slices.Backward(f.Stages) {
		if s.Name != "" && strings.EqualFold(s.Name, name) {
			return s
		}
	}
	return nil
}

// Parent returns the earlier stage that s begins with, where base is s.Base with its variables
// replaced. It returns nil if base names an image.
func (f *File) Parent(s *Stage, base string) *Stage {
	for _, earlier := range slices.Backward(f.Stages[:s.Index]) {
		if earlier.Name != "" && earlier.Name == base {
			return earlier
		}
	}
	return nil
}

// StageFor returns the stage that --from=REF of an instruction refers to, by name or, in COPY,
// by number. It returns nil if ref names an image.
func (f *File) StageFor(in *Instruction, ref string) (*Stage, error) {
	number, err := strconv.Atoi(ref)
	if in.Name != "COPY" || err != nil {
		return f.StageNamed(ref), nil
	}
	if number < 0 || number >= len(f.Stages) {
		return nil, in.ErrorAt("--from="+ref,
			"--from=%s: stages are numbered from 0 to %d", ref, len(f.Stages)-1)
	}
	return f.Stages[number], nil
}

// Refs returns the REF of --from=REF, and those of the from=REF of an instruction's mounts:
// names of stages or images.
func (in *Instruction) Refs() (refs []string) {
	if in.Flag("from") != "" {
		refs = append(refs, in.Flag("from"))
	}
	for _, text := range in.Flags["mount"] {
		if m, err := parseMount(text, nil); err == nil && m.From != "" {
			refs = append(refs, m.From)
		}
	}
	return refs
}

// link checks that files come from earlier stages only.
func (f *File) link() error {
	for _, s := range f.Stages {
		for _, in := range s.Steps {
			for _, ref := range in.Refs() {
				if err := f.linkTo(s, in, ref); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *File) linkTo(s *Stage, in *Instruction, ref string) error {
	plain, err := Expand(ref, f.Escape, noVariables)
	if in.Name == "COPY" && (err != nil || plain != ref) {
		return in.ErrorAt(ref, "--from=%s: it takes no variable; "+
			"give the image a name with FROM … AS, and take that", ref)
	}
	from, err := f.StageFor(in, ref)
	switch {
	case err != nil:
		return err
	case from == s:
		return in.ErrorAt(ref, "circular: stage %s would take files from itself", ref)
	case from != nil && from.Index > s.Index:
		return in.ErrorAt(ref, "stage %s comes below this one, and may even need it: "+
			"put it above; two stages that need each other are circular", ref)
	}
	return nil
}
