package flags

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

type greet struct {
	Name string   `arg:"" help:"Whom to greet, ${where}."`
	Rest []string `arg:"" optional:"" passthrough:"partial" name:"rest"`
	Loud bool     `short:"l"`
	ran  *bool
}

func (g *greet) Run() error {
	*g.ran = true
	return nil
}

func program(ran *bool) Program {
	return Program{Name: "p", Description: "About it.", Vars: kong.Vars{"where": "here"},
		Commands:  []Command{{"greet", "Say hello.", &greet{ran: ran}}, {"secret", "", &greet{ran: ran}}},
		Arguments: []string{"<name>", "<name> WORD"}}
}

// Everyday lines, those that only kong reads, and mistakes.
func TestProgramReads(t *testing.T) {
	for line, want := range map[string]string{
		"greet -l you": "", "greet --loud=true you": "", "secret you": "",
		"greet":        "greet: missing argument <name>; see p greet --help",
		"great you":    `unknown command "great" (did you mean greet?); see p --help`,
		"greet -x you": "greet: unknown flag -x; see p greet --help",

		"container greet you": `unknown command "container greet" (did you mean p greet?); see p --help`,
		"container secret":    `unknown command "container"; see p --help`,
		"image ls":            `unknown command "image"; see p --help`, // no images here
	} {
		ran := false
		run, err := program(&ran).Read(strings.Fields(line))
		if want != "" {
			require.EqualError(t, err, want, line)
			continue
		}
		require.NoError(t, err, line)
		require.NoError(t, run(), line)
		require.True(t, ran, line)
	}
}

func TestHelpIsAWordToo(t *testing.T) {
	require.Equal(t, []string{"--help"}, AsHelp([]string{"help"}))
	require.Equal(t, []string{"image", "ls", "--help"}, AsHelp([]string{"help", "image", "ls"}))
	require.Equal(t, []string{"run", "help"}, AsHelp([]string{"run", "help"}))
	_, err := program(new(bool)).Read([]string{"help", "-x"})
	require.ErrorContains(t, err, "unknown flag -x")
}

// The help shows flags before the arguments, names these as the program does, and lists no command
// without a help of its own.
func TestProgramHelp(t *testing.T) {
	help := func(args ...string) string {
		var out strings.Builder
		k := program(new(bool)).Parser(args)
		k.Stdout, k.Exit = &out, func(int) {}
		k.Parse(append(args, "--help")) // goes on after the help, as it does not exit
		return out.String()
	}
	require.True(t, strings.HasPrefix(help("greet"), "Usage: p greet [flags] <name> WORD"), help("greet"))
	require.Contains(t, help("greet"), "Whom to greet, here.")
	require.Contains(t, help(), "Say hello.")
	require.NotContains(t, help(), "secret")
}
