package main

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"stagebox/stage01-namespaces/flags"
)

// What flags.Parse accepts, kong accepts too, with the same result: lines made at random of every
// command's own flags, values that suit and values that do not.
func TestEverydayLines(t *testing.T) {
	for i := range commands {
		before := commands[i].Command
		defer func() { commands[i].Command = before }()
		taken := 0
		for seed := range uint64(30) {
			if readBoth(t, i, rand.New(rand.NewPCG(seed, uint64(i)))) {
				taken++
			}
		}
		isKong := commands[i].Name == "completion" // its words may be flags of any command
		require.Equal(t, !isKong, taken > 0, "%s: lines that were read without kong", commands[i].Name)
	}
}

// FuzzEverydayLines is the same for as long as you like: go test -fuzz FuzzEverydayLines.
func FuzzEverydayLines(f *testing.F) {
	f.Add(uint64(0), 0)
	f.Fuzz(func(t *testing.T, seed uint64, command int) {
		if command >= 0 && command < len(commands) {
			readBoth(t, command, rand.New(rand.NewPCG(seed, 0)))
		}
	})
}

// readBoth has both read a line of a command, and reports whether flags.Parse did.
func readBoth(t *testing.T, command int, random *rand.Rand) bool {
	ours, theirs := empty(commands[command].Command), empty(commands[command].Command)
	commands[command].Command = theirs
	grammar := commandLine().Parser([]string{commands[command].Name})
	line := randomLine(grammar.Model.Children[0], random)
	run := flags.Parse(ours, line)
	if run == nil {
		return false
	}
	ctx, err := grammar.Parse(append([]string{commands[command].Name}, line...))
	require.NoError(t, err, "%s %q", commands[command].Name, line)
	selected := reflect.ValueOf(ours).Elem()
	if ctx.Selected().Depth() > 0 {
		selected = selected.FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, ctx.Selected().Name) })
	}
	require.Equal(t, ctx.Selected().Target.Interface(), selected.Interface(), "%s %q", commands[command].Name, line)
	return true
}

func empty(command any) any { return reflect.New(reflect.TypeOf(command).Elem()).Interface() }

var randomValues = strings.Split(`|0|1|-1|64m|0.5|x|a=b|a,b|a\,b|-|--|-x|--rm|true|false|yes|user|net|DEV:1|/dev/null:1mb|/a:/b:ro`+
	`|always|never|text|json|é`, "|")

// randomLine makes the words after a command's name, a third of them as they are seldom written.
func randomLine(node *kong.Node, random *rand.Rand) (line []string) {
	value := func(v *kong.Value) string {
		if v.Enum != "" && random.IntN(3) > 0 {
			return v.EnumSlice()[random.IntN(len(v.EnumSlice()))]
		}
		return randomValues[random.IntN(len(randomValues))]
	}
	for len(node.Children) > 0 {
		node = node.Children[random.IntN(len(node.Children))]
		line = append(line, node.Name)
	}
	for range random.IntN(4) {
		if len(node.Flags) == 0 {
			break
		}
		line = append(line, randomFlag(node.Flags[random.IntN(len(node.Flags))], value, random)...)
	}
	for _, arg := range node.Positional {
		first := "word"
		if arg.Enum != "" {
			first = arg.EnumSlice()[0]
		}
		line = append(line, first, value(arg))[:len(line)+1+random.IntN(2)]
	}
	if random.IntN(8) == 0 {
		line = append(line, []string{"--", "--help", "-h", "--unknown", "-", "", "last"}[random.IntN(7)])
	}
	return line
}

func randomFlag(flag *kong.Flag, value func(*kong.Value) string, random *rand.Rand) []string {
	name, glue := "--"+flag.Name, "="
	if flag.Short != 0 && random.IntN(2) == 0 {
		name, glue = "-"+string(flag.Short), []string{"", "="}[random.IntN(2)]
	}
	switch {
	case flag.IsBool() && random.IntN(3) > 0:
		return []string{name}
	case random.IntN(2) == 0:
		return []string{name, value(flag.Value)}
	}
	return []string{name + glue + value(flag.Value)}
}
