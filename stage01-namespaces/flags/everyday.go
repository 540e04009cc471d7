// Kong describes all of a command's flags before it reads the first word: a fifth of the time
// in which a container starts. Parse reads an everyday command line by the same structs and
// tags without that, and leaves every other one to kong.

package flags

import (
	"encoding"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

// Parse fills the struct that command points to from the words after the command's name, and
// returns its Run, or that of the subcommand that the words name. It returns nil for --help, for
// a mistake, and for anything else that it does not know, such as an alias, a tag or a type:
// then kong is to parse the words, and to say what is wrong with them. What Parse does accept,
// kong accepts too, with the same result.
func Parse(command any, words []string) (run func() error) {
	if slices.ContainsFunc(words, func(word string) bool { return !utf8.ValidString(word) }) {
		return nil // kong replaces such bytes
	}
	l := &line{words: words}
	command = l.descend(reflect.ValueOf(command).Elem())
	if runner, runs := command.(runner); runs && l.reset() && l.read() && l.complete() && l.callHooks() {
		return runner.Run
	}
	return nil
}

type runner interface{ Run() error }

// line is a command line that is being read.
type line struct {
	words    []string // not read yet
	flags    []*field
	args     []*field // the positional arguments that are still to come
	commands []*field
	hooks    []any // structs with an AfterApply
	given    kong.Context
	unknown  bool // a tag or a type that only kong knows
}

// field is a field of a command's struct. Its tags are kong's.
type field struct {
	name, short, env, initial, enum     string
	isArg, isCommand, isOptional, isSet bool
	isWhole                             bool // a value is one element, with all its commas
	isRest                              bool // takes all words from its first on
	hasInitial                          bool
	value                               reflect.Value
}

// descend describes a command, or the subcommand that the next words name, and returns a pointer to it.
func (l *line) descend(v reflect.Value) any {
	l.describe(v)
	for len(l.commands) > 0 {
		_, runs := v.Addr().Interface().(runner)
		i := slices.IndexFunc(l.commands, func(f *field) bool { return len(l.words) > 0 && f.name == l.words[0] })
		if runs || i < 0 || len(l.flags)+len(l.args) > 0 {
			return nil
		}
		v = l.commands[i].value
		l.words, l.commands = l.words[1:], nil
		l.describe(v)
	}
	return v.Addr().Interface()
}

// describe lists the fields of a struct, and of those that it embeds.
func (l *line) describe(v reflect.Value) {
	hooks := len(l.hooks)
	for i := range v.NumField() {
		switch t := v.Type().Field(i); {
		case t.Anonymous && t.Type.Kind() == reflect.Struct:
			l.describe(v.Field(i))
		case isEmbedded(t):
			before := len(l.hooks)
			l.describe(v.Field(i))
			hooks += len(l.hooks) - before // they are no methods of this struct
		case t.Anonymous:
			l.unknown = true
		case t.IsExported():
			l.add(&field{name: dashed(t.Name), value: v.Field(i)}, string(t.Tag))
		}
	}
	if !v.CanInterface() {
		return // kong looks for methods in exported fields only
	}
	switch hook := v.Addr().Interface().(type) {
	case interface{ AfterApply() error }, interface{ AfterApply(*kong.Context) error }:
		if len(l.hooks) == hooks { // else it is the method of an embedded struct
			l.hooks = append(l.hooks, hook)
		}
	}
}

// isEmbedded reports whether a field with a name is to kong as an embedded one.
func isEmbedded(t reflect.StructField) bool {
	_, embed := t.Tag.Lookup("embed")
	_, prefix := t.Tag.Lookup("prefix")
	return embed && !prefix && t.IsExported() && t.Type.Kind() == reflect.Struct
}

// dashed is NoTrunc as no-trunc, and "" for a name with initials in it, which has a tag.
func dashed(name string) string {
	var words strings.Builder
	for i, c := range name {
		isUpper := c >= 'A' && c <= 'Z'
		switch {
		case isUpper && i+1 < len(name) && (name[i+1] < 'a' || name[i+1] > 'z'), c >= '0' && c <= '9':
			return ""
		case isUpper && i > 0:
			words.WriteByte('-')
		}
		words.WriteString(strings.ToLower(string(c)))
	}
	return words.String()
}

// add reads the tags of a field, KEY:"VALUE" KEY:"VALUE", and puts it into its list.
func (l *line) add(f *field, tags string) {
	for tags != "" {
		key, rest, _ := strings.Cut(tags, ":")
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil || !f.tag(key, quoted[1:len(quoted)-1]) {
			l.unknown = true
			return
		}
		tags = strings.TrimLeft(rest[len(quoted):], " ")
	}
	switch {
	case f.isCommand:
		l.commands = append(l.commands, f)
	case f.isArg:
		l.args = append(l.args, f)
	default:
		l.flags = append(l.flags, f)
	}
}

// tag sets what a tag says, and reports whether it is known.
func (f *field) tag(key, value string) bool {
	switch key {
	case "help", "placeholder", "group", "hidden", "json":
	case "aliases", "negatable": // further names, which Parse does not know
	case "name":
		f.name = value
	case "short":
		f.short = value
	case "env":
		f.env = value
	case "enum":
		f.enum = value
	case "default":
		f.initial, f.hasInitial = value, true
	case "sep":
		f.isWhole = value == "none"
	case "arg":
		f.isArg = true
	case "optional":
		f.isOptional = true
	case "cmd":
		f.isCommand = true
	case "passthrough":
		f.isRest = true
		return value == "partial"
	default:
		return false
	}
	return true
}

// reset gives every field the value that it has without a word: its variable's or its default.
func (l *line) reset() bool {
	for _, f := range slices.Concat(l.flags, l.args) {
		f.value.SetZero()
		initial, has := os.LookupEnv(f.env)
		if !has {
			initial, has = f.initial, f.hasInitial
		}
		if has && !f.set(initial) {
			return false
		}
		f.isSet = false
	}
	return !l.unknown
}

// read reads the words into the fields.
func (l *line) read() bool {
	known := true
	for known && len(l.words) > 0 {
		word := l.words[0]
		switch {
		case word == "--" || !isFlag(word):
			known = l.argument(word)
		case word[1] == '-':
			l.words = l.words[1:]
			name, value, has := strings.Cut(word[2:], "=")
			known = name != "" && l.flag(value, has, func(f *field) bool { return f.name == name })
		default:
			l.words = l.words[1:]
			known = l.letters(word[1:])
		}
	}
	return known
}

func isFlag(word string) bool { return len(word) > 1 && word[0] == '-' }

// argument reads the words of a positional argument.
func (l *line) argument(word string) bool {
	if len(l.args) == 0 || word == "--" && !l.args[0].isRest {
		return false
	}
	f, n := l.args[0], 1
	switch {
	case f.isRest:
		n = len(l.words)
	case f.value.Kind() == reflect.Slice:
		for n < len(l.words) && !isFlag(l.words[n]) {
			n++
		}
	}
	l.args, f.isWhole = l.args[1:], true
	for _, word := range l.words[:n] {
		if !f.set(word) {
			return false
		}
	}
	l.words = l.words[n:]
	return f.isChosen()
}

// letters reads flags of one letter: -it, -uNAME, -u=NAME.
func (l *line) letters(word string) bool {
	for word != "" {
		is := func(f *field) bool { return f.short == word[:1] }
		i := slices.IndexFunc(l.flags, is)
		tail := word[1:]
		value, has := strings.CutPrefix(tail, "=")
		if i >= 0 && !has && !l.flags[i].isSwitch() {
			has = tail != ""
		}
		if !l.flag(value, has, is) {
			return false
		}
		if has {
			return true
		}
		word = tail
	}
	return true
}

// flag sets a flag to the value that its word has, or else to the next word unless it is a switch.
func (l *line) flag(value string, has bool, is func(f *field) bool) bool {
	i := slices.IndexFunc(l.flags, is)
	if i < 0 {
		return false
	}
	f := l.flags[i]
	named := &kong.Flag{Value: &kong.Value{Name: f.name, Target: f.value, Set: true}}
	l.given.Path = append(l.given.Path, &kong.Path{Flag: named, Flags: []*kong.Flag{named}})
	decoder, decodes := f.value.Addr().Interface().(kong.MapperValue)
	switch {
	case decodes && f.isSwitch():
		scan := kong.Scan()
		if has {
			scan.PushTyped(value, kong.FlagValueToken)
		}
		return decoder.Decode(&kong.DecodeContext{Scan: scan}) == nil
	case has:
	case f.isSwitch():
		value = "true"
	case len(l.words) == 0 || isFlag(l.words[0]):
		return false // the second may be a value to kong
	default:
		value, l.words = l.words[0], l.words[1:]
	}
	return f.set(value)
}

// isSwitch reports whether the flag needs no value.
func (f *field) isSwitch() bool {
	b, is := f.value.Addr().Interface().(interface{ IsBool() bool })
	t := f.value.Type()
	if t.Kind() == reflect.Pointer { // nil is neither yes nor no
		t = t.Elem()
	}
	return t.Kind() == reflect.Bool || is && b.IsBool()
}

// set gives the field a value, or one more element.
func (f *field) set(text string) bool {
	if !f.isSet {
		f.value.SetZero()
	}
	f.isSet = true
	if f.value.Kind() != reflect.Slice {
		return decode(f.value, text)
	}
	element := reflect.New(f.value.Type().Elem()).Elem()
	if !f.isWhole && (text == "" || strings.ContainsAny(text, `,\`)) || !decode(element, text) {
		return false
	}
	f.value.Set(reflect.Append(f.value, element))
	return true
}

// decode reads a value as kong does.
func decode(v reflect.Value, text string) bool {
	switch t := v.Addr().Interface().(type) {
	case kong.MapperValue:
		return false
	case encoding.TextUnmarshaler:
		return t.UnmarshalText([]byte(text)) == nil
	case encoding.BinaryUnmarshaler, json.Unmarshaler:
		return false
	case *int, *int64:
		n, err := strconv.ParseInt(text, 0, v.Type().Bits())
		v.SetInt(n)
		return err == nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(text == "true")
		return text == "true" || text == "false"
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decode(v.Elem(), text)
	default:
		return false
	}
	return true
}

// complete reports whether every argument is there, and every value one of those to choose from.
func (l *line) complete() bool {
	return !slices.ContainsFunc(l.flags, func(f *field) bool { return !f.isChosen() }) &&
		!slices.ContainsFunc(l.args, func(f *field) bool { return !f.isOptional })
}

func (f *field) isChosen() bool {
	return f.enum == "" ||
		f.value.Kind() == reflect.String && slices.Contains(strings.Split(f.enum, ","), f.value.String()) ||
		f.value.Kind() == reflect.Slice && f.value.Len() == 0
}

// callHooks calls AfterApply, as kong does. Of kong's context there are the flags that were given.
func (l *line) callHooks() bool {
	for _, hook := range l.hooks {
		var err error
		switch hook := hook.(type) {
		case interface{ AfterApply() error }:
			err = hook.AfterApply()
		case interface{ AfterApply(*kong.Context) error }:
			err = hook.AfterApply(&l.given)
		}
		if err != nil {
			return false
		}
	}
	return true
}
