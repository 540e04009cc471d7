package flags

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// Explain puts an error of kong's Parse in the form of box's other errors: the command, what is
// wrong with which word, and the help text that has the right ones. Program is what a user types
// before a command's name.
func Explain(program string, err error) error {
	var failed *kong.ParseError
	if !errors.As(err, &failed) {
		return err
	}
	var command []string
	group := true // whether the next word has to be a command's name
	for _, step := range failed.Context.Path {
		if step.Command != nil {
			command = append(command, step.Command.Name)
			group = len(step.Command.Children) > 0
		}
	}
	text := rephrase(err.Error(), group)
	name := strings.Join(command, " ")
	if long := withTwoDashes(failed.Context); long != "" && strings.HasPrefix(text, "unknown flag -") {
		text = "unknown flag " + long[1:] + " (did you mean " + long + "?)"
	}
	if len(command) == 0 {
		if strings.HasPrefix(text, "unknown flag") {
			text += ": the flags of a command follow its name"
		}
		return fmt.Errorf("%s; see %s --help", text, program)
	}
	return fmt.Errorf("%s: %s; see %s %s --help", name, text, program, name)
}

// withTwoDashes returns the long flag that a word such as -follow means, or "".
func withTwoDashes(ctx *kong.Context) string {
	for _, word := range ctx.Args {
		name, _, _ := strings.Cut(strings.TrimPrefix(word, "-"), "=")
		for _, flag := range ctx.Flags() {
			if strings.HasPrefix(word, "-") && len(name) > 1 && name == flag.Name {
				return "--" + name
			}
		}
	}
	return ""
}

// rephrase returns kong's message in our words. Other messages come from this package or from the
// type of a flag, and are returned as they are.
func rephrase(message string, group bool) string {
	match := func(pattern string) []string { return regexp.MustCompile(pattern).FindStringSubmatch(message) }
	if m := match(`^expected "(<[^>]*>).*"$`); m != nil {
		return "missing argument " + m[1]
	} else if m := match(`^expected (?:one of )?(".*")$`); m != nil {
		return "missing command: " + orList(m[1])
	} else if match(`^expected one of ".*, \.\.\.$`) != nil { // kong names five at most
		return "missing command"
	} else if m := match(`(?s)^unexpected argument (.*?)(?:, did you mean (?:one of )?(".*")\?)?$`); m != nil {
		if !group {
			return "too many arguments: " + strconv.Quote(m[1])
		}
		return "unknown command " + strconv.Quote(m[1]) + similar(m[2])
	} else if m := match(`(?s)^unknown flag (--.*?)(?:, did you mean (?:one of )?(".*")\?)?$`); m != nil {
		return "unknown flag " + m[1] + similar(m[2])
	} else if m := match(`(?s)^unknown flag (-[^-]*?)(?:, did you mean .*)?$`); m != nil {
		return "unknown flag " + m[1] // every other letter would be similar
	} else if m := match(`(?s)^\[?(<[^>]*>).*: expected a valid 64 bit int but got (".*")$`); m != nil {
		return m[1] + " " + m[2] + ": must be a whole number"
	} else if m := match(`(?s)^(\S+) must be one of ("[^ ]*") but got (.*)$`); m != nil {
		return m[1] + " " + m[3] + ": must be " + orList(m[2])
	}
	return message
}

// similar proposes the quoted words, if there are any.
func similar(words string) string {
	if words == "" {
		return ""
	}
	return " (did you mean " + orList(words) + "?)"
}

// orList lists quoted words: a, b or c.
func orList(words string) string {
	list := strings.Split(strings.ReplaceAll(words, `"`, ""), ",")
	for i, word := range list {
		list[i] = strings.TrimSpace(word)
	}
	list = slices.DeleteFunc(list, func(word string) bool { return word == "" }) // not given at all
	last := len(list) - 1
	if last == 0 {
		return list[0]
	}
	return strings.Join(list[:last], ", ") + " or " + list[last]
}
