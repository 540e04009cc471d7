// Package completion completes the words of a command line in bash, zsh and fish. The scripts
// for the shells know nothing of the commands: they call `box completion words -- WORD...` and
// offer the lines that it prints, and files where it prints none. Words finds those lines in
// the model by which kong reads the command line, so the two cannot disagree. How the shells
// ask: bash(1) under Programmable Completion, zshcompsys(1), and complete of fish.
package completion

import (
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Values lists the values of an argument, which is given by its name, or of a flag, which is
// given as --NAME. It is not asked about those that kong holds to an enum.
type Values func(command *kong.Node, name string) []string

// Words lists, sorted, what word may become when it follows the words before it: commands,
// flags, or the values of an argument or flag. Before does not hold the program's name. The
// list is empty where nothing is known, and for the words of a passthrough argument.
func Words(root *kong.Node, before []string, word string, values Values) []string {
	line := &line{node: root, flags: root.Flags, values: values}
	for i := 0; i < len(before); i++ {
		flag := line.flagNamed(before[i])
		switch takesValue := flag != nil && !flag.IsBool(); {
		case takesValue && i == len(before)-1:
			return withPrefix(word, line.valuesOf("--"+flag.Name, flag.Value))
		case takesValue:
			i++
		case flag != nil, strings.HasPrefix(before[i], "-") && before[i] != "--":
		case !line.read(before[i]):
			return nil
		}
	}
	return line.complete(word)
}

// Split splits what a script passes on, which may begin with --, into the words before and the one to
// complete.
func Split(words []string) (before []string, word string) {
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		return nil, ""
	}
	last := len(words) - 1
	return words[:last], words[last]
}

// Entries lists the names in a directory that end with a suffix, without it; none if it cannot be
// read: an error would only be in the way while a user types.
func Entries(dir, suffix string) (names []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if name, is := strings.CutSuffix(entry.Name(), suffix); is {
			names = append(names, name)
		}
	}
	return names
}

// line is how far a command line was read.
type line struct {
	node   *kong.Node
	flags  []*kong.Flag
	place  int // how many arguments there are
	values Values
}

// read takes the name of a command or an argument. It reports whether box reads what follows.
func (l *line) read(word string) bool {
	for _, child := range l.node.Children {
		if child.Name == word {
			l.node, l.flags = child, append(l.flags, child.Flags...)
			return true
		}
	}
	if l.place < len(l.node.Positional) && l.node.Positional[l.place].Passthrough {
		return false // the words of the program that runs inside
	}
	l.place++
	return true
}

// complete completes the next word.
func (l *line) complete(word string) []string {
	args := l.node.Positional
	switch {
	case strings.HasPrefix(word, "-"):
		return withPrefix(word, l.flagWords())
	case len(l.node.Children) > 0:
		var names []string
		for _, child := range l.node.Children {
			names = append(names, child.Name)
		}
		return withPrefix(word, names)
	case len(args) == 0:
		return nil
	}
	arg := args[min(l.place, len(args)-1)]
	if l.place >= len(args) && !arg.IsCumulative() {
		return nil
	}
	return withPrefix(word, l.valuesOf(arg.Name, arg))
}

func (l *line) flagNamed(word string) *kong.Flag {
	i := slices.IndexFunc(l.flags, func(f *kong.Flag) bool {
		return word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short)
	})
	if i < 0 {
		return nil
	}
	return l.flags[i]
}

func (l *line) flagWords() (words []string) {
	for _, f := range l.flags {
		if !f.Hidden {
			words = append(words, "--"+f.Name)
		}
	}
	return words
}

func (l *line) valuesOf(name string, value *kong.Value) []string {
	if value.Enum != "" {
		return strings.Split(value.Enum, ",")
	}
	return l.values(l.node, name)
}

func withPrefix(prefix string, words []string) []string {
	words = slices.DeleteFunc(words, func(w string) bool {
		return w == "" || !strings.HasPrefix(w, prefix)
	})
	slices.Sort(words)
	return slices.Compact(words)
}
