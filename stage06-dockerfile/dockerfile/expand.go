// Variables in a Dockerfile: $NAME, ${NAME} and the forms with a modifier, as the Dockerfile
// reference lists them. BuildKit's own lexer replaces them (frontend/dockerfile/shell); what is
// here calls it, knows which parts of which instruction have variables, and says in the words
// of the other messages what is wrong with one.

package dockerfile

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// Lookup returns the value of a variable, and whether it is set.
type Lookup func(name string) (value string, set bool)

// LookupIn looks variables up in a map.
func LookupIn(vars map[string]string) Lookup {
	return func(name string) (string, bool) { value, ok := vars[name]; return value, ok }
}

func noVariables(string) (string, bool) { return "", false }

// mostExpanded bounds an expanded text, in bytes: a variable can double itself on every line.
const mostExpanded = 1 << 20 // more than execve takes

// Expand replaces the variables in a text and removes its quotes and escapes. The result is one
// text, even if a value contains blanks. escape is File.Escape.
func Expand(text string, escape rune, get Lookup) (string, error) {
	values := &values{get: get}
	out, _, err := shell.NewLex(escape).ProcessWord(wellFormed(text), values)
	return out, values.check(out, err)
}

// expandWords does so, and splits the result at the blanks that are not quoted. The lexer is
// asked to split only if there are any: when it splits, it forgets what precedes ${NAME:-word}
// (BuildKit 0.34).
func expandWords(text string, escape rune, get Lookup) ([]string, error) {
	out, err := Expand(text, escape, get)
	if err != nil || out == "" {
		return nil, err
	}
	if !strings.ContainsFunc(out, unicode.IsSpace) {
		return []string{out}, nil
	}
	return shell.NewLex(escape).ProcessWords(wellFormed(text), &values{get: get})
}

// expandHeredoc expands the content of a here-document, where quotes are ordinary characters.
func expandHeredoc(text string, get Lookup) (string, error) {
	lex := shell.NewLex('\\')
	lex.SkipProcessQuotes = true
	values := &values{get: get}
	out, _, err := lex.ProcessWord(wellFormed(text), values)
	return out, values.check(out, err)
}

// heredocWords splits as a shell does, with \ as escape. Variables are kept as written.
func heredocWords(text string, rawQuotes, rawEscapes bool) ([]string, error) {
	lex := shell.NewLex('\\')
	lex.RawQuotes, lex.RawEscapes, lex.SkipUnsetEnv = rawQuotes, rawEscapes, true
	return lex.ProcessWords(wellFormed(text), &values{get: noVariables})
}

// wellFormed replaces bytes that are not UTF-8: for each of them the lexer, which is built on
// text/scanner, would print a complaint to standard error.
func wellFormed(text string) string { return string([]rune(text)) }

// values is what the lexer asks for variables. It hands out mostExpanded bytes and no more.
type values struct {
	get  Lookup
	sent int
}

// Get implements shell.EnvGetter.
func (v *values) Get(name string) (string, bool) {
	value, set := v.get(name)
	if v.sent += len(value); v.sent > mostExpanded {
		return "", set
	}
	return value, set
}

// Keys implements shell.EnvGetter; the lexer does not call it.
func (v *values) Keys() []string { return nil }

// check returns what is wrong with an expansion.
func (v *values) check(out string, err error) error {
	if v.sent > mostExpanded || len(out) > mostExpanded {
		return fmt.Errorf("the value is longer than %d bytes", mostExpanded)
	}
	return plainly(err)
}

// plainly rewords an error of the lexer, without the text it quotes: the caller shows that.
func plainly(err error) error {
	if err == nil {
		return nil
	}
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
	}
	name, rest, _ := strings.Cut(err.Error(), ": ")
	switch rest {
	case "is not allowed to be unset", "is not allowed to be empty":
		return fmt.Errorf("%s must be set, and not be empty after :?", name)
	case "bad substitution":
		return errors.New("a name must follow ${, not one of {, : and }")
	case "missing '}'":
		return errors.New("the closing } is missing")
	case "missing '/' in ${}":
		return errors.New("the closing / is missing")
	}
	switch err.Error() {
	case "unexpected end of statement while looking for matching single-quote":
		return errors.New("the closing ' is missing")
	case "unexpected end of statement while looking for matching double-quote":
		return errors.New(`the closing " is missing`)
	case "unsupported modifier (\uFFFD) in substitution": // the end of the text
		return errors.New("the closing } is missing")
	}
	return err
}

// Expand returns the instruction with its variables replaced, in the parts that may contain
// them, and the mounts of RUN parsed. It leaves the values of ARG alone: the caller may have
// another value for it. An error is an *Error.
func (in *Instruction) Expand(get Lookup) (*Instruction, error) {
	out := *in
	out.Args, out.Pairs = slices.Clone(in.Args), slices.Clone(in.Pairs)
	out.Docs = slices.Clone(in.Docs)
	var err error
	switch in.Name {
	case "ENV", "LABEL":
		for i := range out.Pairs {
			in.expandInto(&out.Pairs[i].Name, get, &err)
			in.expandInto(&out.Pairs[i].Value, get, &err)
		}
	case "ADD", "COPY":
		err = out.expandCopy(get)
	case "STOPSIGNAL", "USER", "VOLUME", "WORKDIR":
		in.expandAll(out.Args, get, &err)
	case "EXPOSE":
		out.Args = nil
		for _, arg := range in.Args {
			words, e := expandWords(arg, in.file.Escape, get)
			if e != nil {
				return nil, in.ErrorAt(arg, "%s: %v", arg, e)
			}
			out.Args = append(out.Args, words...)
		}
	case "RUN":
		out.Mounts, err = in.mounts(get)
	}
	return &out, err
}

// expandCopy expands the flags, paths and here-documents of ADD and COPY.
func (in *Instruction) expandCopy(get Lookup) (err error) {
	in.Flags = maps.Clone(in.Flags)
	for _, name := range []string{"chown", "chmod", "checksum"} {
		if value := in.Flag(name); value != "" {
			in.expandInto(&value, get, &err)
			in.Flags[name] = []string{value}
		}
	}
	in.expandAll(in.Args, get, &err)
	for i, doc := range in.Docs {
		if doc.Expand && err == nil {
			if in.Docs[i].Content, err = expandHeredoc(doc.Content, get); err != nil {
				err = in.ErrorAt("<<", "%s: %v", doc.Name, err)
			}
		}
	}
	return err
}

// ExpandWord is Expand for one text of the instruction. An error is an *Error, whose caret is
// below the text.
func (in *Instruction) ExpandWord(text string, get Lookup) (string, error) {
	value, err := Expand(text, in.file.Escape, get)
	if err != nil {
		return "", in.ErrorAt(text, "%s: %v", text, err)
	}
	return value, nil
}

func (in *Instruction) expandAll(texts []string, get Lookup, err *error) {
	for i := range texts {
		in.expandInto(&texts[i], get, err)
	}
}

// expandInto expands one text unless an earlier one failed.
func (in *Instruction) expandInto(text *string, get Lookup, err *error) {
	if *err != nil {
		return
	}
	if value, e := in.ExpandWord(*text, get); e != nil {
		*err = e
	} else {
		*text = value
	}
}

func (in *Instruction) mounts(get Lookup) (list []Mount, err error) {
	expand := func(word string) (string, error) { return Expand(word, in.file.Escape, get) }
	for _, text := range in.Flags["mount"] {
		m, err := parseMount(text, expand)
		if err != nil {
			return nil, in.ErrorAt("--mount="+text, "--mount=%s: %v", text, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// PlatformArgs returns the variables about platforms, TARGETARCH and so on, which FROM may use
// and an ARG without a value takes. build and target are os/architecture or
// os/architecture/variant; "" is linux on this machine's processor.
func PlatformArgs(build, target, stage string) map[string]string {
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

// Globals returns the variables that FROM may use: those of the platforms, and the ARGs above
// the first FROM, whose values overrides may replace.
func (f *File) Globals(platform, overrides map[string]string) (map[string]string, error) {
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
			value, err := in.ExpandWord(pair.Value, LookupIn(args))
			if err != nil {
				return nil, err
			}
			args[pair.Name] = value
		}
	}
	return args, nil
}

// proxies are ARGs that need no declaration, in small letters or in capitals.
const proxies = "http_proxy https_proxy ftp_proxy no_proxy all_proxy"

// Undeclared returns the names of build arguments, sorted, that no ARG of the file declares, and
// that mean nothing without one. An image may have ONBUILD steps with ARGs of their own: if onBuild
// counts any, there are no such names.
func (f *File) Undeclared(args, platform, globals map[string]string, onBuild func(image string) int) (
	names []string) {
	for _, s := range f.Stages {
		if base, err := f.BaseOf(s, globals); err != nil || onBuild(base) > 0 {
			return nil
		}
	}
	declared := map[string]bool{"SOURCE_DATE_EPOCH": true}
	for _, name := range strings.Fields(proxies) {
		declared[name], declared[strings.ToUpper(name)] = true, true
	}
	all := slices.Clone(f.Args)
	for _, s := range f.Stages {
		all = append(all, s.Steps...)
	}
	for _, in := range all {
		for _, pair := range in.Pairs {
			declared[pair.Name] = declared[pair.Name] || in.Name == "ARG"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(args)) {
		if _, given := platform[name]; !declared[name] && !given && !strings.HasPrefix(name, "BUILDKIT_") {
			names = append(names, name)
		}
	}
	return names
}
