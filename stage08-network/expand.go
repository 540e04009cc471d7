// Variables in a Dockerfile: $NAME, ${NAME} and the forms with a modifier, as the
// Dockerfile reference lists them; the words and patterns are those of the POSIX shell
// (XCU chapter 2.6.2). lexer.until is the loop, dollar the variables, and expand at the end
// knows which parts of which instruction have them.
package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unicode"
)

// variables looks a variable up.
type variables func(name string) (value string, set bool)

func noVariables(string) (string, bool) { return "", false }

const (
	endOfText    = rune(-1)
	mostExpanded = 1 << 20 // more than execve takes; a variable that doubles itself ends here
)

// lexer reads one text.
type lexer struct {
	in     []rune
	at     int
	escape rune
	get    variables

	literal    bool // quotes are ordinary characters
	rawQuotes  bool // quotes stay
	rawEscapes bool // escapes stay
	verbatim   bool // variables stay as they are written
}

// expandWord expands a text that stays one, whatever blanks come in.
func expandWord(text string, escape rune, get variables) (string, error) {
	l := lexer{in: []rune(text), escape: escape, get: get}
	text, _, err := l.until(endOfText, false)
	return text, err
}

// expandWords expands a text and splits it at the blanks that are not quoted.
func expandWords(text string, escape rune, get variables) ([]string, error) {
	l := lexer{in: []rune(text), escape: escape, get: get}
	_, words, err := l.until(endOfText, false)
	return words, err
}

// expandHeredoc expands a here-document's content, in which quotes mean nothing.
func expandHeredoc(text string, get variables) (string, error) {
	l := lexer{in: []rune(text), escape: '\\', get: get, literal: true}
	text, _, err := l.until(endOfText, false)
	return text, err
}

func (l *lexer) peek() rune {
	if l.at >= len(l.in) {
		return endOfText
	}
	return l.in[l.at]
}

func (l *lexer) take() rune {
	r := l.peek()
	l.at++
	return r
}

// wordSplitter collects words.
type wordSplitter struct {
	words []string
	word  strings.Builder
}

// add adds a text; blanks end a word in it unless it was quoted.
func (s *wordSplitter) add(text string, quoted bool) {
	for _, r := range text {
		if quoted || !unicode.IsSpace(r) {
			s.word.WriteRune(r)
		} else {
			s.end()
		}
	}
}

func (s *wordSplitter) end() {
	if s.word.Len() > 0 {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
}

// until reads up to stop and over it: as one text, and as words. In a pattern, quoted
// escapes are doubled, because the pattern is read once more.
func (l *lexer) until(stop rune, pattern bool) (string, []string, error) {
	var text strings.Builder
	var words wordSplitter
	for {
		r := l.peek()
		if r == stop {
			l.at++
			words.end()
			return text.String(), words.words, nil
		}
		var part string
		var err error
		switch {
		case r == endOfText:
			err = fmt.Errorf("the closing %c is missing", stop)
		case r == '$':
			part, err = l.dollar()
		case r == '<':
			part = l.less()
		case r == '\'' && !l.literal:
			part, err = l.single(pattern)
		case r == '"' && !l.literal:
			part, err = l.double(pattern)
		case r == l.escape:
			part = l.escaped()
		default:
			part = string(l.take())
		}
		if text.WriteString(part); err == nil && text.Len() > mostExpanded {
			err = fmt.Errorf("the value is longer than %d bytes", mostExpanded)
		}
		if err != nil {
			return "", nil, err
		}
		words.add(part, r == '<' || r == l.escape || !l.literal && (r == '\'' || r == '"'))
	}
}

// less keeps << and the blanks after it together, which may begin a here-document.
func (l *lexer) less() string {
	begin := l.at
	if l.at++; l.peek() == '<' {
		for l.at++; l.at < len(l.in) && strings.ContainsRune("\t\r ", l.in[l.at]); {
			l.at++
		}
	}
	return string(l.in[begin:l.at])
}

func (l *lexer) escaped() (text string) {
	if e := l.take(); l.rawEscapes {
		text = string(e)
	}
	if l.peek() != endOfText {
		text += string(l.take())
	}
	return text
}

func (l *lexer) quote(text string, mark string) string {
	if l.rawQuotes {
		return mark + text + mark
	}
	return text
}

// single reads 'text', in which nothing is special.
func (l *lexer) single(pattern bool) (string, error) {
	l.at++
	end := slices.Index(l.in[l.at:], '\'')
	if end < 0 {
		return "", errors.New("the closing ' is missing")
	}
	text := string(l.in[l.at : l.at+end])
	if l.at += end + 1; pattern {
		text = strings.ReplaceAll(text, string(l.escape), string([]rune{l.escape, l.escape}))
	}
	return l.quote(text, "'"), nil
}

// double reads "text", in which variables count, and the escape before " $ and itself.
func (l *lexer) double(pattern bool) (string, error) {
	var text strings.Builder
	for l.at++; ; {
		switch r := l.peek(); r {
		case endOfText:
			return "", errors.New(`the closing " is missing`)
		case '"':
			l.at++
			return l.quote(text.String(), `"`), nil
		case '$':
			value, err := l.dollar()
			if text.WriteString(value); err == nil && text.Len() > mostExpanded {
				err = fmt.Errorf("the value is longer than %d bytes", mostExpanded)
			}
			if err != nil {
				return "", err
			}
		case l.escape:
			l.at++
			special := strings.ContainsRune(`"$`+string(l.escape), l.peek())
			if l.rawEscapes && (special || !l.rawQuotes || pattern) {
				text.WriteRune(r)
			}
			if special {
				r = l.take()
			}
			text.WriteRune(r)
		default:
			text.WriteRune(l.take())
		}
	}
}

// dollar reads a variable and returns what it stands for.
func (l *lexer) dollar() (string, error) {
	begin := l.at
	l.at++
	value, err := l.variable()
	if l.verbatim && err == nil {
		return string(l.in[begin:l.at]), nil
	}
	return value, err
}

func (l *lexer) variable() (string, error) {
	if l.peek() != '{' {
		name := l.name()
		if name == "" {
			return "$", nil
		}
		value, _ := l.get(name)
		return value, nil
	}
	if l.at++; strings.ContainsRune("{}:", l.peek()) {
		return "", fmt.Errorf("a name must follow ${, not %c", l.peek())
	}
	name := l.name()
	switch op := l.take(); op {
	case endOfText:
		return "", errors.New("the closing } is missing")
	case '}':
		value, _ := l.get(name)
		return value, nil
	case '/':
		return l.replace(name)
	case ':':
		return l.modify(name, l.take(), true)
	case '+', '-', '?', '#', '%':
		return l.modify(name, op, false)
	default:
		return "", fmt.Errorf("${%s%c…}: there is no modifier %c", name, op, op)
	}
}

// name reads a name, a number or one of the shell's special parameters.
func (l *lexer) name() string {
	begin := l.at
	switch first := l.peek(); {
	case unicode.IsDigit(first):
		for unicode.IsDigit(l.peek()) {
			l.at++
		}
	case first != endOfText && strings.ContainsRune("@*#?-$!", first):
		l.at++
	default:
		for r := l.peek(); r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r); r = l.peek() {
			l.at++
		}
	}
	return string(l.in[begin:l.at])
}

// nested reads the word after a modifier.
func (l *lexer) nested(stop rune, raw, pattern bool) (string, error) {
	before := l.rawEscapes
	l.rawEscapes = raw
	word, _, err := l.until(stop, pattern)
	l.rawEscapes = before
	return word, err
}

// modify is ${NAME:-word}, ${NAME-word}, :+ + :? ? and # ## % %%. With the colon, an
// empty value is as good as none.
func (l *lexer) modify(name string, op rune, colon bool) (string, error) {
	trims := op == '#' || op == '%'
	if colon && trims {
		return "", fmt.Errorf("${%s:%c…}: there is no modifier :%c", name, op, op)
	}
	word, err := l.nested('}', trims, trims)
	if err != nil || l.verbatim {
		return "", err
	}
	value, set := l.get(name)
	there := set && (value != "" || !colon)
	switch {
	case trims:
		return trimGlob(value, word, op)
	case op == '+' && !there:
		return "", nil
	case op == '+' || op == '-' && !there:
		return word, nil
	case op == '-' || op == '?' && there:
		return value, nil
	case op == '?' && word != "":
		return "", fmt.Errorf("%s: %s", name, word)
	case op == '?':
		return "", fmt.Errorf("%s must be set, and not be empty after :?", name)
	}
	return "", fmt.Errorf("${%s:%c…}: there is no modifier :%c", name, op, op)
}

// replace is ${NAME/pattern/word}, and ${NAME//pattern/word} for every occurrence.
func (l *lexer) replace(name string) (string, error) {
	all := l.peek() == '/'
	if all {
		l.at++
	}
	pattern, err := l.nested('/', true, true)
	if err != nil {
		return "", err
	}
	word, err := l.nested('}', true, false)
	if err != nil || l.verbatim {
		return "", err
	}
	value, _ := l.get(name)
	tokens, err := globTokens(pattern, ".*")
	if err != nil {
		return "", err
	}
	re, err := regexp.Compile(strings.Join(tokens, ""))
	if err != nil {
		return "", fmt.Errorf("the pattern %s: %w", pattern, err)
	}
	if all {
		return re.ReplaceAllString(value, word), nil // $1 in word names a group: there is none
	}
	if found := re.FindStringIndex(value); found != nil {
		value = value[:found[0]] + word + value[found[1]:]
	}
	return value, nil
}

// trimGlob cuts the shortest match of a pattern off the value's beginning (#) or end (%);
// the longest, if the operator stands twice. For the end, both are turned round, because
// a regular expression looks from the left.
func trimGlob(value, pattern string, op rune) (string, error) {
	star := ".*?"
	if rest, twice := strings.CutPrefix(pattern, string(op)); twice {
		star, pattern = ".*", rest
	}
	tokens, err := globTokens(pattern, star)
	if err != nil {
		return "", err
	}
	runes := []rune(value)
	if op == '%' {
		slices.Reverse(tokens)
		slices.Reverse(runes)
	}
	re, err := regexp.Compile("^" + strings.Join(tokens, ""))
	if err != nil {
		return "", fmt.Errorf("the pattern %s: %w", pattern, err)
	}
	rest := string(runes)
	if found := re.FindStringIndex(rest); found != nil {
		rest = rest[found[1]:]
	}
	if op == '%' {
		runes = []rune(rest)
		slices.Reverse(runes)
		rest = string(runes)
	}
	return rest, nil
}

// globTokens writes each token of a shell pattern as a regular expression.
func globTokens(pattern, star string) (tokens []string, err error) {
	escaped := false
	for _, r := range pattern {
		switch {
		case escaped && !strings.ContainsRune(`*?\}/`, r):
			return nil, fmt.Errorf(`the pattern %s: \ stands before %c, and only * ? \ } and / can be escaped`, pattern, r)
		case escaped:
			tokens, escaped = append(tokens, regexp.QuoteMeta(string(r))), false
		case r == '\\':
			escaped = true
		case r == '*':
			tokens = append(tokens, star)
		case r == '?':
			tokens = append(tokens, ".")
		default:
			tokens = append(tokens, regexp.QuoteMeta(string(r)))
		}
	}
	if escaped {
		return nil, fmt.Errorf(`the pattern %s ends in \`, pattern)
	}
	return tokens, nil
}

// expand is the instruction with its variables replaced, where it has them; RUN has its
// mounts read. ARG is left to the caller, who may have another value for it.
func (in *Instruction) expand(get variables) (*Instruction, error) {
	out := *in
	out.Args, out.Pairs, out.Docs = slices.Clone(in.Args), slices.Clone(in.Pairs), slices.Clone(in.Docs)
	var err error
	switch in.Name {
	case "ENV", "LABEL":
		for i := range out.Pairs {
			in.expandInto(&out.Pairs[i].Name, get, &err)
			in.expandInto(&out.Pairs[i].Value, get, &err)
		}
	case "ADD", "COPY":
		out.Flags = maps.Clone(in.Flags)
		for _, name := range []string{"chown", "chmod", "checksum"} {
			if value := in.flag(name); value != "" {
				in.expandInto(&value, get, &err)
				out.Flags[name] = []string{value}
			}
		}
		in.expandAll(out.Args, get, &err)
		for i, doc := range out.Docs {
			if doc.Expand && err == nil {
				if out.Docs[i].Content, err = expandHeredoc(doc.Content, get); err != nil {
					err = in.errorAt("<<", "%s: %v", doc.Name, err)
				}
			}
		}
	case "STOPSIGNAL", "USER", "VOLUME", "WORKDIR":
		in.expandAll(out.Args, get, &err)
	case "EXPOSE":
		out.Args = nil
		for _, arg := range in.Args {
			words, e := expandWords(arg, in.file.Escape, get)
			if e != nil {
				return nil, in.errorAt(arg, "%s: %v", arg, e)
			}
			out.Args = append(out.Args, words...)
		}
	case "RUN":
		out.Mounts, err = in.mounts(get)
	}
	return &out, err
}

func (in *Instruction) expandAll(texts []string, get variables, err *error) {
	for i := range texts {
		in.expandInto(&texts[i], get, err)
	}
}

// expandInto expands one text unless an earlier one failed.
func (in *Instruction) expandInto(text *string, get variables, err *error) {
	if *err != nil {
		return
	}
	value, e := expandWord(*text, in.file.Escape, get)
	if e != nil {
		*err = in.errorAt(*text, "%s: %v", *text, e)
		return
	}
	*text = value
}

func (in *Instruction) mounts(get variables) (list []RunMount, err error) {
	for _, text := range in.Flags["mount"] {
		m, err := parseRunMount(text, func(word string) (string, error) { return expandWord(word, in.file.Escape, get) })
		if err != nil {
			return nil, in.errorAt("--mount="+text, "--mount=%s: %v", text, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// platformArgs are the variables that FROM has, and that an ARG without a value brings
// into a stage. A platform is os/architecture or os/architecture/variant.
func platformArgs(build, target, stage string) map[string]string {
	args := map[string]string{"TARGETSTAGE": stage}
	for prefix, platform := range map[string]string{"BUILD": build, "TARGET": target} {
		if platform == "" {
			platform = "linux/" + runtime.GOARCH
		}
		parts := append(strings.Split(platform, "/"), "", "")
		args[prefix+"PLATFORM"], args[prefix+"OS"], args[prefix+"ARCH"] = platform, parts[0], parts[1]
		args[prefix+"VARIANT"], args[prefix+"OSVERSION"] = parts[2], ""
	}
	return args
}

// globals are the variables of FROM: the platform's, and the ARGs above the first FROM,
// whose values overrides may replace.
func (f *Dockerfile) globals(platform, overrides map[string]string) (map[string]string, error) {
	args := map[string]string{}
	maps.Copy(args, platform)
	for _, in := range f.Args {
		for _, pair := range in.Pairs {
			if value, ok := overrides[pair.Name]; ok {
				args[pair.Name] = value
				continue
			}
			if pair.Bare {
				continue
			}
			var err error
			in.expandInto(&pair.Value, lookupIn(args), &err)
			if err != nil {
				return nil, err
			}
			args[pair.Name] = pair.Value
		}
	}
	return args, nil
}

func lookupIn(m map[string]string) variables {
	return func(name string) (string, bool) { value, ok := m[name]; return value, ok }
}
